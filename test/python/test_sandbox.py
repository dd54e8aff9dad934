"""What the sandbox refuses without options: processes and the handling of signals."""

from __future__ import annotations

import _ctypes
import _posixsubprocess
import asyncio
import concurrent.futures
import contextlib
import ctypes
import faulthandler
import importlib.machinery
import importlib.util
import multiprocessing
import multiprocessing.shared_memory
import multiprocessing.util
import os
import pathlib
import pty
import re
import signal
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Callable
from typing import Any

PROCESS_TEXT = (
    "{} is blocked in Node.js host context. fork()/exec() would corrupt the Node.js runtime. "
    "Start Python with sandbox: {{ subprocess }} (coloop run: --allow subprocess), or use "
    "node:child_process through a registered function for subprocess management."
)
MULTIPROCESSING_TEXT = (
    " multiprocessing and ProcessPoolExecutor work by child processes: use threads "
    "(ThreadPoolExecutor, asyncio.to_thread), or a child process or Worker that Node.js runs."
)
SIGNAL_TEXT = (
    "{} is blocked in Node.js host context. Signals and their handlers belong to Node.js. "
    "Use py.onSignal() in JavaScript, which calls a JavaScript or Python function, or start "
    'Python with signals: "host".'
)


def children() -> set[int]:
    """The processes whose parent this one is."""
    found = set()
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[1] == str(os.getpid()):
                found.add(int(stat.parent.name))
    return found


def fork_exec() -> Any:
    null = os.open(os.devnull, os.O_RDWR)
    try:
        return multiprocessing.util.spawnv_passfds(b"/bin/true", [b"true"], [null])
    finally:
        os.close(null)


def start(method: str) -> None:
    multiprocessing.get_context(method).Process(target=print).start()


def submit() -> None:
    with concurrent.futures.ProcessPoolExecutor(1) as executor:
        executor.submit(print).result()


async def create(function: Callable[..., Any], *arguments: str) -> None:
    await function(*arguments)


SHELL = ("sh", "-c")

# What starts a process in the standard library, and the event of the refusal.
PROCESSES: dict[str, tuple[Callable[[str], Any], str]] = {
    "os.fork": (lambda command: os.fork(), "os.fork"),
    "os.forkpty": (lambda command: os.forkpty(), "os.forkpty"),
    "os.system": (os.system, "os.system"),
    "os.popen": (os.popen, "subprocess.Popen"),
    "os.execv": (lambda command: os.execv("/bin/sh", [*SHELL, command]), "os.exec"),
    "os.execve": (lambda command: os.execve("/bin/sh", [*SHELL, command], {}), "os.exec"),
    "os.execvp": (lambda command: os.execvp("sh", [*SHELL, command]), "os.exec"),
    "os.execvpe": (lambda command: os.execvpe("sh", [*SHELL, command], {}), "os.exec"),
    "os.execl": (lambda command: os.execl("/bin/sh", *SHELL, command), "os.exec"),
    "os.execle": (lambda command: os.execle("/bin/sh", *SHELL, command, {}), "os.exec"),
    "os.execlp": (lambda command: os.execlp("sh", *SHELL, command), "os.exec"),
    "os.execlpe": (lambda command: os.execlpe("sh", *SHELL, command, {}), "os.exec"),
    "os.spawnv": (
        lambda command: os.spawnv(os.P_WAIT, "/bin/sh", [*SHELL, command]),
        "os.fork",
    ),
    "os.spawnve": (
        lambda command: os.spawnve(os.P_WAIT, "/bin/sh", [*SHELL, command], {}),
        "os.fork",
    ),
    "os.spawnvp": (lambda command: os.spawnvp(os.P_WAIT, "sh", [*SHELL, command]), "os.fork"),
    "os.spawnvpe": (
        lambda command: os.spawnvpe(os.P_WAIT, "sh", [*SHELL, command], {}),
        "os.fork",
    ),
    "os.spawnl": (
        lambda command: os.spawnl(os.P_NOWAIT, "/bin/sh", *SHELL, command),
        "os.fork",
    ),
    "os.spawnle": (
        lambda command: os.spawnle(os.P_NOWAIT, "/bin/sh", *SHELL, command, {}),
        "os.fork",
    ),
    "os.spawnlp": (lambda command: os.spawnlp(os.P_NOWAIT, "sh", *SHELL, command), "os.fork"),
    "os.spawnlpe": (
        lambda command: os.spawnlpe(os.P_NOWAIT, "sh", *SHELL, command, {}),
        "os.fork",
    ),
    "os.posix_spawn": (
        lambda command: os.posix_spawn("/bin/sh", [*SHELL, command], {}),
        "os.posix_spawn",
    ),
    "os.posix_spawnp": (
        lambda command: os.posix_spawnp("sh", [*SHELL, command], {}),
        "os.posix_spawn",
    ),
    "subprocess.Popen": (
        lambda command: subprocess.Popen(command, shell=True),
        "subprocess.Popen",
    ),
    "subprocess.run": (
        lambda command: subprocess.run([*SHELL, command], check=False),
        "subprocess.Popen",
    ),
    "subprocess.call": (
        lambda command: subprocess.call([*SHELL, command]),
        "subprocess.Popen",
    ),
    "subprocess.check_call": (
        lambda command: subprocess.check_call([*SHELL, command]),
        "subprocess.Popen",
    ),
    "subprocess.check_output": (
        lambda command: subprocess.check_output([*SHELL, command]),
        "subprocess.Popen",
    ),
    "subprocess.getoutput": (subprocess.getoutput, "subprocess.Popen"),
    "pty.spawn": (lambda command: pty.spawn([*SHELL, command]), "pty.spawn"),
    "pty.fork": (lambda command: pty.fork(), "os.fork"),
    "multiprocessing fork": (lambda command: start("fork"), "os.fork"),
    "multiprocessing spawn": (lambda command: start("spawn"), "_posixsubprocess.fork_exec"),
    "multiprocessing forkserver": (
        lambda command: start("forkserver"),
        "_posixsubprocess.fork_exec",
    ),
    "multiprocessing.util.spawnv_passfds": (
        lambda command: fork_exec(),
        "_posixsubprocess.fork_exec",
    ),
    "multiprocessing.shared_memory": (
        lambda command: multiprocessing.shared_memory.SharedMemory(create=True, size=1),
        "_posixsubprocess.fork_exec",
    ),
    "_posixsubprocess.fork_exec": (
        lambda command: _posixsubprocess.fork_exec(),
        "_posixsubprocess.fork_exec",
    ),
    "ctypes fork": (lambda command: ctypes.CDLL(None).fork(), "ctypes.dlsym/process"),
    "ctypes system": (
        lambda command: ctypes.CDLL(None).system(command.encode()),
        "ctypes.dlsym/process",
    ),
    "ctypes.PyDLL fork": (lambda command: ctypes.pythonapi.fork(), "ctypes.dlsym/process"),
    "asyncio.create_subprocess_exec": (
        lambda command: asyncio.run(create(asyncio.create_subprocess_exec, *SHELL, command)),
        "subprocess.Popen",
    ),
    "asyncio.create_subprocess_shell": (
        lambda command: asyncio.run(create(asyncio.create_subprocess_shell, command)),
        "subprocess.Popen",
    ),
}

SYMBOLS = [
    *["fork", "_Fork", "__fork", "__libc_fork", "vfork", "__vfork", "forkpty", "clone", "__clone"],
    *["execl", "execle", "execlp", "execv", "execve", "execveat", "execvp", "execvpe", "fexecve"],
    *["posix_spawn", "posix_spawnp", "popen", "_IO_popen", "_IO_proc_open", "daemon", "wordexp"],
    *["system", "__libc_system"],
]
SIGNAL_SYMBOLS = [
    *["alarm", "setitimer", "sigaction", "__sigaction", "signal", "bsd_signal", "sigset"],
    *["sigprocmask", "pthread_sigmask", "siginterrupt", "sysv_signal", "ssignal"],
]

# What changes the handling of signals, and the event of the refusal.
SIGNALS: dict[str, tuple[Callable[[], Any], str]] = {
    "signal.signal": (lambda: signal.signal(signal.SIGINT, signal.SIG_IGN), "signal.signal"),
    "signal.set_wakeup_fd": (lambda: signal.set_wakeup_fd(1), "signal.set_wakeup_fd"),
    "signal.setitimer": (lambda: signal.setitimer(signal.ITIMER_REAL, 60), "signal.setitimer"),
    "signal.alarm": (lambda: signal.alarm(60), "signal.alarm"),
    "signal.siginterrupt": (
        lambda: signal.siginterrupt(signal.SIGINT, True),
        "signal.siginterrupt",
    ),
    "signal.pthread_sigmask": (
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1]),
        "signal.pthread_sigmask",
    ),
    "signal.pthread_sigmask(SIG_SETMASK)": (
        lambda: signal.pthread_sigmask(signal.SIG_SETMASK, []),
        "signal.pthread_sigmask",
    ),
    "faulthandler.register": (
        lambda: faulthandler.register(signal.SIGUSR1),
        "faulthandler.register",
    ),
    "faulthandler.disable": (faulthandler.disable, "faulthandler.disable"),
    "faulthandler.enable": (faulthandler.enable, "faulthandler.enable"),
}


class RefusalCase(unittest.TestCase):
    def assert_refused(
        self, function: Callable[[], Any], event: str, text: str = PROCESS_TEXT
    ) -> BaseException:
        with self.assertRaises(RuntimeError) as caught:
            function()
        self.assertEqual(str(caught.exception), text.format(event))
        self.assertEqual(caught.exception.event, event)
        return caught.exception


class TestProcesses(RefusalCase):
    """Each is refused with the documented text, and no process was started."""

    def refuse(self, function: Callable[[str], Any], event: str, text: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            before = children()
            marker = os.path.join(folder, "marker")
            error = self.assert_refused(lambda: function(f"touch {marker}"), event, text)
            self.assertIsInstance(error, PermissionError)
            self.assertFalse(os.path.exists(marker))
            self.assertEqual(children(), before)

    def test_process_pool(self) -> None:
        before = children()
        with self.assertRaises(RuntimeError) as caught:
            submit()
        self.assertIn("use node:child_process", str(caught.exception))
        self.assertTrue(str(caught.exception).endswith(MULTIPROCESSING_TEXT))
        self.assertEqual(children(), before)

    def test_original_extension_file(self) -> None:
        spec = importlib.machinery.PathFinder.find_spec("_posixsubprocess")
        if spec is None or spec.origin is None:
            self.skipTest("this Python has no extension file of _posixsubprocess")
        for name in "_posixsubprocess", "some.package._posixsubprocess":
            with self.subTest(name):
                other = importlib.util.spec_from_file_location(name, spec.origin)
                assert other is not None
                self.assert_refused(
                    lambda spec=other: importlib.util.module_from_spec(spec),
                    "_posixsubprocess.fork_exec",
                )

    def test_in_another_thread(self) -> None:
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            self.assert_refused(executor.submit(os.fork).result, "os.fork")

    def test_in_a_sub_interpreter(self) -> None:
        code = (
            "import _posixsubprocess, subprocess\n"
            "for function in _posixsubprocess.fork_exec, lambda: subprocess.run(['true']):\n"
            "    try: function()\n"
            "    except PermissionError as error: assert 'is blocked in Node.js' in str(error)\n"
            "    else: raise AssertionError('not refused')\n"
        )
        if sys.version_info >= (3, 13):
            import _interpreters

            interpreter = _interpreters.create()
            self.assertIsNone(_interpreters.exec(interpreter, code))
            _interpreters.destroy(interpreter)
        else:
            import _xxsubinterpreters

            interpreter = _xxsubinterpreters.create()
            _xxsubinterpreters.run_string(interpreter, code)
            _xxsubinterpreters.destroy(interpreter)

    def test_symbols(self) -> None:
        """Every alias in every way that ctypes has to look a symbol up."""
        libc = ctypes.CDLL("libc.so.6")
        present = 0
        for name in SYMBOLS:
            for library in ctypes.CDLL(None), libc:
                with self.subTest(name, library=library._name):
                    try:
                        library[name]
                    except AttributeError:
                        continue  # not every C library has every alias
                    except RuntimeError as error:
                        present += 1
                        self.assertEqual(str(error), PROCESS_TEXT.format("ctypes.dlsym/process"))
                    else:
                        self.fail(f"{name} was looked up")
        self.assertGreater(present, len(SYMBOLS))
        for look_up in (
            lambda: _ctypes.dlsym(libc._handle, "fork"),
            lambda: ctypes.c_int.in_dll(libc, "fork"),
            lambda: ctypes.CFUNCTYPE(ctypes.c_int)(("fork", libc)),
        ):
            self.assert_refused(look_up, "ctypes.dlsym/process")

    def test_library_that_hides_its_handle(self) -> None:
        class Hidden(ctypes.CDLL):
            @property
            def _handle(self) -> int:
                return libc._handle

            @_handle.setter
            def _handle(self, value: int) -> None:
                pass

        libc = ctypes.CDLL("libc.so.6")
        self.assert_refused(lambda: Hidden("libm.so.6").fork, "ctypes.dlsym/process")

    def test_other_symbols(self) -> None:
        self.assertEqual(ctypes.CDLL(None).getpid(), os.getpid())
        with self.assertRaises(AttributeError):
            ctypes.CDLL(None).there_is_no_such_symbol  # noqa: B018


for _name, (_function, _event) in PROCESSES.items():

    def _case(
        self: TestProcesses,
        function: Callable[[str], Any] = _function,
        event: str = _event,
        text: str = PROCESS_TEXT
        + (MULTIPROCESSING_TEXT if _name.startswith("multiprocessing") else ""),
    ) -> None:
        self.refuse(function, event, text)

    setattr(TestProcesses, "test_" + re.sub(r"\W+", "_", _name), _case)


class TestSignals(RefusalCase):
    def test_refused(self) -> None:
        for name, (function, event) in SIGNALS.items():
            with self.subTest(name):
                error = self.assert_refused(function, event, SIGNAL_TEXT)
                self.assertIsInstance(error, ValueError)

    def test_symbols(self) -> None:
        libc = ctypes.CDLL(None)
        for name in SIGNAL_SYMBOLS:
            with self.subTest(name):
                self.assert_refused(
                    lambda name=name: libc[name], "ctypes.dlsym/signal", SIGNAL_TEXT
                )

    def test_reading(self) -> None:
        self.assertIs(signal.getsignal(signal.SIGINT), signal.default_int_handler)
        self.assertIsInstance(signal.pthread_sigmask(signal.SIG_BLOCK, []), set)
        self.assertIsInstance(signal.pthread_sigmask(signal.SIG_UNBLOCK, ()), set)
        self.assertEqual(signal.getitimer(signal.ITIMER_REAL), (0.0, 0.0))
        self.assertEqual(signal.set_wakeup_fd(-1), -1)
        self.assertEqual(signal.strsignal(signal.SIGINT), "Interrupt")

    def test_documentation_stays(self) -> None:
        self.assertIn("signal", signal.signal.__doc__ or "")
        self.assertEqual(signal.alarm.__text_signature__, "($module, seconds, /)")

    def test_faulthandler_without_signals(self) -> None:
        with tempfile.TemporaryFile("w+") as file:
            faulthandler.dump_traceback(file)
            file.seek(0)
            self.assertIn("test_faulthandler_without_signals", file.read())
        self.assertTrue(faulthandler.is_enabled())

    def test_add_signal_handler(self) -> None:
        async def add() -> None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, print)

        before = signal.getsignal(signal.SIGTERM)
        with self.assertRaises(RuntimeError):
            asyncio.run(add())
        self.assertEqual(signal.getsignal(signal.SIGTERM), before)


if __name__ == "__main__":
    unittest.main()
