// Making, keeping and exiting interpreters of Workers' own.
#include "interp/own_interpreter.h"

#include <Python.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/counters.h"
#include "base/result.h"
#include "interp/error.h"
#include "interp/gil.h"
#include "interp/interpreter.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"

namespace coloop::interp {

namespace {

struct Left {
  std::mutex mutex;
  std::vector<InterpreterHead*> interpreters;  // guarded by mutex
  bool exiting = false;                        // guarded by mutex
  int grace_ms = 0;                            // guarded by mutex
};

Left& TheLeft() {
  static auto* left = new Left;
  return *left;
}

// The next Worker sees of the one before nothing but what the standard library's modules keep. To
// `threading` of 3.12 its thread is the interpreter's main thread. `first` is what there was at the
// first start.
constexpr const char* kRenew = R"(
import gc, sys, sysconfig, threading, types
def snapshot():
    lists = {name: list(getattr(sys, name)) for name in ("argv", "path", "path_hooks", "meta_path")}
    library = tuple(sysconfig.get_path(name) + "/" for name in ("stdlib", "platstdlib"))
    packages = tuple(sysconfig.get_path(name) + "/" for name in ("purelib", "platlib"))
    return set(sys.modules), lists, library, packages
def renew(first):
    modules, lists, library, packages = first
    def stays(name, module):
        if name in modules or name.startswith("_erlang_impl."):
            return True
        origin = getattr(getattr(module, "__spec__", None), "origin", None)
        if not isinstance(origin, str):
            return False
        return origin in ("built-in", "frozen") or (
            origin.startswith(library) and not origin.startswith(packages))
    for name, module in list(sys.modules.items()):
        if not stays(name, module):
            sys.modules.pop(name, None)
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__builtins__ = __builtins__
    for name, value in lists.items():
        getattr(sys, name)[:] = value
    if sys.version_info < (3, 13):  # later it is the process's main thread
        threading._after_fork()
    gc.collect()
)";

struct Renewal {
  PyObject* renew = nullptr;
  PyObject* first = nullptr;
};
PerInterpreter<Renewal> renewal;

// `threading`'s own wait has no limit and cannot be interrupted in this thread. Without other
// threads there is nothing to wait for, and the policy may deny another one.
constexpr const char* kShutDownThreads = R"(
import threading
if any(not each.daemon and each is not threading.main_thread() for each in threading.enumerate()):
    waiter = threading.Thread(target=threading._shutdown, daemon=True)
    waiter.start()
    waiter.join(grace)
else:
    for call in reversed(threading._threading_atexits):
        call()
)";

// Its threads get half of the time.
void RunExit(const Gil& gil, int grace_ms) {
  const Owned globals(PyDict_New());
  const Owned grace(PyFloat_FromDouble(grace_ms / 2000.0));
  if (globals && grace) {
    PyDict_SetItemString(globals.get(), "__builtins__", PyEval_GetBuiltins());
    PyDict_SetItemString(globals.get(), "grace", grace.get());
    const Owned done(PyRun_String(kShutDownThreads, Py_file_input, globals.get(), globals.get()));
    if (!done) ReportUnlessInterrupted(gil);
  }
  RunExitHandlers(gil);
}

// One with that policy that has no threads any more, or null: code that a Worker has left in it may
// run for the next one.
InterpreterHead* TakeLeft(const std::string& policy) {
  Left& left = TheLeft();
  const std::lock_guard<std::mutex> lock(left.mutex);
  const auto found =
      std::find_if(left.interpreters.begin(), left.interpreters.end(), [&](auto* it) {
        return it->policy == policy &&
               PyInterpreterState_ThreadHead(it->interpreter) == it->first_state;  // the newest
      });
  if (found == left.interpreters.end()) return nullptr;
  InterpreterHead* taken = *found;
  left.interpreters.erase(found);
  return taken;
}

bool Renew(InterpreterHead& interpreter) {
  AttachThread(interpreter);
  {
    const GilAcquire acquire;
    if (renewal->first != nullptr) {  // its first start did not fail
      const Owned done(PyObject_CallOneArg(renewal->renew, renewal->first));
      if (done) return true;
      ReportUnraisable(acquire.gil(), nullptr);
    }
  }
  DetachThread();  // nobody gets it again
  return false;
}

// Modules of 3.12 that break when an interpreter imports them before the main one has.
void ImportInMain() {
  for (const char* name :
       {"_datetime", "_decimal", "_ctypes", "pyexpat", "_elementtree", "_zoneinfo"}) {
    const Owned module(PyImport_ImportModule(name));
    if (!module) PyErr_Clear();  // Python may have been built without it, or the policy denies it
  }
}

constexpr const char* kHookRefused =
    "an audit hook that Python code has set refused the interpreter";

// The first thread state of a new interpreter, whose GIL is held then; that of the main one is held
// before, and after a failure.
base::Result<PyThreadState*> NewInterpreter() {
#if PY_VERSION_HEX >= 0x030C0000
  PyInterpreterConfig config{};
  config.use_main_obmalloc = 0;
  config.allow_fork = 1;  // that is for the sandbox to say
  config.allow_exec = 1;
  config.allow_threads = 1;
  config.allow_daemon_threads = 1;
  config.check_multi_interp_extensions = 1;
  config.gil = PyInterpreterConfig_OWN_GIL;
  // Python asks the same again, and ends the process if one of its own audit hooks raises then.
  if (PySys_Audit("cpython.PyInterpreterState_New", nullptr) != 0) {
    PyErr_Clear();
    return base::Error{"ERR_COLOOP_START", kHookRefused};
  }
  PyThreadState* own = nullptr;
  const PyStatus status = Py_NewInterpreterFromConfig(&own, &config);
  if (PyStatus_Exception(status) != 0) return StartError(status.func, status.err_msg);
  if (own != nullptr) return own;
  const bool refused = PyErr_Occurred() != nullptr;
  PyErr_Clear();
  return base::Error{"ERR_COLOOP_START", refused ? kHookRefused : "there is no memory for it"};
#else
  return base::Error{"ERR_COLOOP_OWN_INTERPRETER",
                     "an interpreter of a Worker's own needs Python 3.12 or newer"};
#endif
}

// The calling thread gets a thread state of a new interpreter, whose GIL is not held then.
base::Result<void> MakeInterpreter(const InterpreterConfig& options) {
  AttachThread(MainInterpreter());
  {
    const GilAcquire acquire;
    if (!acquire.ok()) return base::Error{"ERR_COLOOP_EXITED", "the process is exiting"};
    if (options.before_user_code != nullptr) options.before_user_code(acquire.gil());
    base::many_gils.store(true);
    ImportInMain();
  }
  PyEval_RestoreThread(CurrentGilSlot().state);
  base::Result<PyThreadState*> made = NewInterpreter();
  (void)PyEval_SaveThread();
  DetachThread();
  CurrentGilSlot().state = nullptr;  // also while the process exits, which leaves it as it is
  if (!made.ok()) return made.error();
  InterpreterHead& interpreter = AddInterpreter(PyThreadState_GetInterpreter(made.value()));
  interpreter.first_state = made.value();
  interpreter.policy = options.policy;
  SetInterpreterUsable(true);
  AttachThread(interpreter);
  return {};
}

// Its GIL stays taken, so that threads of the interpreter stop there while the process goes.
void ExitInterpreter(InterpreterHead& interpreter, int grace_ms) {
  AttachForExit(interpreter);
  const Gil gil = Gil::FromPython();
  RunExit(gil, grace_ms);
  EndVisits(gil);
}

}  // namespace

base::Result<bool> EnterOwnInterpreter(const InterpreterConfig& config) {
  while (InterpreterHead* left = TakeLeft(config.policy)) {
    if (Renew(*left)) return false;
  }
  base::Result<void> made = MakeInterpreter(config);
  if (!made.ok()) return made.error();
  const GilAcquire acquire;
  base::Result<void> started = FinishStart(acquire.gil(), config);
  if (!started.ok()) return started.error();
  return true;
}

bool NoteStarted(const Gil&) {
  const Owned globals(PyDict_New());
  if (!globals) return false;
  PyDict_SetItemString(globals.get(), "__builtins__", PyEval_GetBuiltins());
  const Owned done(PyRun_String(kRenew, Py_file_input, globals.get(), globals.get()));
  if (!done) return false;
  const Owned snapshot = Owned::NewRef(PyDict_GetItemString(globals.get(), "snapshot"));
  renewal->renew = Owned::NewRef(PyDict_GetItemString(globals.get(), "renew")).release();
  renewal->first = PyObject_CallNoArgs(snapshot.get());
  return renewal->first != nullptr;
}

bool HasOwnInterpreter() { return &CurrentInterpreter() != &MainInterpreter(); }

void LeaveInterpreter() {
  InterpreterHead& interpreter = CurrentInterpreter();
  DetachThread();
  if (&interpreter == &MainInterpreter()) return;
  Left& left = TheLeft();
  int grace_ms = 0;
  {
    const std::lock_guard<std::mutex> lock(left.mutex);
    if (!left.exiting) {
      left.interpreters.push_back(&interpreter);
      return;
    }
    grace_ms = left.grace_ms;
  }
  ExitInterpreter(interpreter, grace_ms);
}

LeftExits::LeftExits(int grace_ms) : deadline_(Clock::now() + std::chrono::milliseconds(grace_ms)) {
  Left& left = TheLeft();
  std::vector<InterpreterHead*> interpreters;
  {
    const std::lock_guard<std::mutex> lock(left.mutex);
    left.exiting = true;
    left.grace_ms = grace_ms;
    interpreters = std::exchange(left.interpreters, {});
  }
  running_->count = interpreters.size();
  for (InterpreterHead* interpreter : interpreters) {
    std::thread([interpreter, grace_ms, running = running_] {
      ExitInterpreter(*interpreter, grace_ms);
      {
        const std::lock_guard<std::mutex> lock(running->mutex);
        --running->count;
      }
      running->changed.notify_all();
      for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }).detach();
  }
}

void LeftExits::Wait() {
  std::unique_lock<std::mutex> lock(running_->mutex);
  running_->changed.wait_until(lock, deadline_, [this] { return running_->count == 0; });
}

}  // namespace coloop::interp
