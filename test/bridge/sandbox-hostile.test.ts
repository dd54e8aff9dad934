// Python that tries to get around the hook without native code: each ends in the refusal, and nothing is
// started. What native code can do is in docs/sandbox.md.

import { readdirSync, readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { Python } from "../../src/index.js";

/** Of this process: its children, and the page faults of those that were waited for. */
function traces(): string[] {
  const stat = (pid: string): string[] => {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  };
  const children = readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && stat(pid)[1] === String(process.pid);
    } catch {
      return false; // it has ended
    }
  });
  return [...children, stat("self")[8] ?? ""];
}

const tries: Record<string, string> = {
  "sys.audit overwritten":
    "a = sys.audit\nsys.audit = lambda *a: None\ntry: os.system(':')\nfinally: sys.audit = a",
  "sys.audit removed": "a = sys.audit\ndel sys.audit\ntry: os.system(':')\nfinally: sys.audit = a",
  "a hook that raises first": `
seen = []
def hook(event, args):
    if event == "os.system" and not seen:
        seen.append(event)
        raise KeyError("stopped before the policy's")
sys.addaudithook(hook)
try: os.system(":")
except RuntimeError: pass
os.system(":")`,
  "a hook that calls it itself": `
def hook(event, args):
    if event == "test.nested":
        os.system(":")
sys.addaudithook(hook)
sys.audit("test.nested")`,
  "many hooks": "for _ in range(500): sys.addaudithook(lambda e, a: None)\nos.fork()",
  "the sandbox's module changed": `
import _coloop
from coloop import _sandbox
_sandbox.is_sandboxed = lambda: False
_sandbox.tighten = _coloop._sandbox_tighten = None
for name in dir(_coloop):
    if name.startswith("_sandbox"): delattr(_coloop, name)
os.fork()`,
  "its modules gone from sys.modules": `
saved = {n: sys.modules.pop(n) for n in list(sys.modules) if n.split(".")[0] in ("_coloop", "erlang")}
try: os.fork()
finally: sys.modules.update(saved)`,
  "an alias": "from posix import posix_spawn as nothing\nnothing('/bin/true', ['true'], {})",
  "an alias of an alias":
    "import functools, operator\nfunctools.partial(operator.methodcaller('posix_spawn', '/bin/true', ['true'], {}), os)()",
  "a module made anew": `
import _imp, importlib.machinery
spec = importlib.machinery.ModuleSpec("posix", importlib.machinery.BuiltinImporter, origin="built-in")
_imp.create_builtin(spec).fork()`,
  "a built-in imported again": `
saved = sys.modules.pop("posix")
try:
    import posix
    posix.fork()
finally: sys.modules["posix"] = saved`,
  "_posixsubprocess imported again":
    "import _posixsubprocess\ndel sys.modules['_posixsubprocess']\nimport _posixsubprocess\n_posixsubprocess.fork_exec()",
  "a _posixsubprocess put in its place": `
import subprocess, types
fake = types.ModuleType("_posixsubprocess")
fake.fork_exec = lambda *a: os.posix_spawn("/bin/true", ["true"], {})
sys.modules["_posixsubprocess"] = fake
try: os.posix_spawn("/bin/true", ["true"], {})
finally: del sys.modules["_posixsubprocess"]`,
  "_posixsubprocess's file under another name": `
import importlib.machinery, importlib.util
spec = importlib.machinery.PathFinder.find_spec("_posixsubprocess")
for name in "-posixsubprocess", "x.-posixsubprocess", "_posixsubprocess\\0x":
    if spec is None: continue  # this Python has it built in
    loader = importlib.machinery.ExtensionFileLoader(name, spec.origin)
    try: importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    except RuntimeError as error: assert "is blocked" in str(error)
    else: raise AssertionError(name)
os.fork()`,
  "_signal imported again":
    "del sys.modules['_signal']\nimport _signal\n_signal.signal(_signal.SIGTERM, _signal.SIG_IGN)",
  "the garbage collector's objects": `
import gc, types, _posixsubprocess
found = [f for o in gc.get_objects() if isinstance(o, dict) for f in list(o.values())
         if isinstance(f, types.BuiltinFunctionType) and f.__name__ in ("fork", "fork_exec", "system")]
assert found
for function in found:
    try: function(":") if function.__name__ == "system" else function()
    except RuntimeError as error: assert "is blocked" in str(error)
    else: raise AssertionError(function)
found[0](":") if found[0].__name__ == "system" else found[0]()`,
  "the exceptions replaced": `
import builtins
saved = builtins.RuntimeError, builtins.PermissionError
builtins.RuntimeError = builtins.PermissionError = None
try: os.fork()
finally: builtins.RuntimeError, builtins.PermissionError = saved`,
  "the refusal's class changed": `
try: os.fork()
except RuntimeError as error:
    try: type(error).__init__ = lambda self, *a: None
    except TypeError: pass
    try: os.fork()
    except BaseException: pass
    if "__init__" in vars(type(error)): del type(error).__init__
os.fork()`,
  "a pickle": `import pickle\npickle.loads(b"cposix\\nsystem\\n(S':'\\ntR.")`,
  "a thread": `
import threading
caught = []
def run():
    try: os.fork()
    except BaseException as error: caught.append(error)
thread = threading.Thread(target=run)
thread.start()
thread.join()
raise caught[0]`,
  "a destructor": `
caught = []
class Odd:
    def __del__(self):
        try: os.fork()
        except BaseException as error: caught.append(error)
Odd()
raise caught[0]`,
  "deep in the stack": `
def deep():
    try: deep()
    except RecursionError: os.fork()
try: deep()
except RecursionError: os.fork()`,
  "a trace function": `
caught = []
def trace(frame, event, arg):
    sys.settrace(None)
    try: os.fork()
    except BaseException as error: caught.append(error)
sys.settrace(trace)
(lambda: None)()
sys.settrace(None)
raise caught[0]`,
  "ctypes.pythonapi": "import ctypes\nctypes.pythonapi.fork()",
  "ctypes.pythonapi runs code":
    "import ctypes\nrun = ctypes.pythonapi.PyRun_SimpleString\nassert run(b'import os; os.fork()') == -1\nos.fork()",
  "a library whose handle changes": `
import ctypes
program, linker = ctypes.CDLL(None), next(line.split()[-1] for line in open("/proc/self/maps") if "/ld-" in line)
class Library(ctypes.CDLL):
    _handle = property(lambda self: program._handle, lambda self, value: None)
library = Library(None)
vars(library)["_handle"] = ctypes.CDLL(linker)._handle
library.fork`,
  "a copy of the C library": `
import ctypes, shutil, tempfile
with tempfile.TemporaryDirectory() as folder:
    original = next(line.split()[-1] for line in open("/proc/self/maps") if "/libc" in line)
    ctypes.CDLL(shutil.copy(original, folder + "/copy.so")).fork`,
  "what Node.js itself starts children with": "import ctypes\nctypes.CDLL(None).uv_spawn",
  "what Python itself changes signals with": "import ctypes\nctypes.pythonapi.PyOS_setsig",
  "events of ctypes with a handle that is none": `
class Library: pass
library = Library()
library._handle = 12345
for event, handle in ("ctypes.dlsym/handle", 12345), ("ctypes.dlsym/handle", -1), ("ctypes.dlsym", library):
    try: sys.audit(event, handle, "fork")
    except RuntimeError as error: assert "is blocked" in str(error)
    else: raise AssertionError(event)
os.fork()`,
  "the hooks cleared by ctypes": `
import ctypes
try: clear = ctypes.pythonapi._PySys_ClearAuditHooks
except AttributeError: pass
else: raise AssertionError("libpython gives it away")
os.fork()`,
  "eval, exec and compile": "exec(compile('eval(\"os.fork()\")', 'x', 'exec'))",
  "a code object of one's own":
    "import types\ntypes.FunctionType((lambda: os.fork()).__code__, {'os': os})()",
  "an allowed event's name": "class Name(str): pass\nsys.audit(Name('os.fork'))",
  "a sub-interpreter": `
try: import _interpreters as interpreters
except ImportError: import _xxsubinterpreters as interpreters
run = getattr(interpreters, "run_string", None) or interpreters.exec
one = interpreters.create()
code = "import os\\ntry: os.fork()\\nexcept RuntimeError: pass\\nelse: os._exit(9)"
assert run(one, code) is None
interpreters.destroy(one)
os.fork()`,
  "tighten with names that loosen": `
from importlib import reload
import _erlang_impl._sandbox as sandbox
reload(sandbox)
for names in ["allow"], ["-os.fork"], ["!subprocess"], [""]:
    try: sandbox._coloop and sandbox.tighten(names)
    except (ValueError, TypeError, AttributeError): pass
os.fork()`,
};

let py: Python;

beforeAll(async () => {
  py = await Python.start();
});

test.each(Object.entries(tries))("%s", (_name, code) => {
  const before = traces();
  expect(() => py.execSync(`import os, sys\n${code}`)).toThrow(
    /is blocked in Node\.js host context/,
  );
  expect(traces()).toEqual(before);
  expect(() => py.execSync("import os; os.fork()")).toThrow(/^os\.fork is blocked/);
});
