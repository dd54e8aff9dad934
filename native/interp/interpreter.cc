// Starting the interpreter as the chosen executable would, and leaving it.
#include "interp/interpreter.h"

#include <Python.h>

#include <atomic>
#include <string>

#include "base/result.h"

#ifndef _WIN32
#include <dlfcn.h>
#include <fcntl.h>
#endif

#include "interp/error.h"
#include "interp/faults.h"
#include "interp/gil.h"
#include "interp/interrupt.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"

namespace coloop::interp {

namespace {

std::atomic<bool> past_exit{false};

// site runs only after the flags for loading extensions are set (a .pth file may import one). A
// thread that computes gives the GIL up after half a millisecond: it is what JavaScript waits for
// it then.
constexpr const char* kFinishStart = R"(
import sys
def run_site(dlopen_flags):
    if dlopen_flags:
        sys.setdlopenflags(dlopen_flags)
    sys.setswitchinterval(0.0005)
    import site
    site.main()
def load_package(package_folder):
    import importlib.util
    import os
    package = os.path.join(package_folder, "_erlang_impl")
    spec = importlib.util.spec_from_file_location(
        "_erlang_impl", os.path.join(package, "__init__.py"), submodule_search_locations=[package])
    module = importlib.util.module_from_spec(spec)
    sys.modules["_erlang_impl"] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules["_erlang_impl"]
        raise
    sys.modules.setdefault("erlang", module)
    sys.modules.setdefault("coloop", module)
)";

PyStatus InitializeFromConfig(const InterpreterConfig& options) {
  PyPreConfig preconfig;
  PyPreConfig_InitPythonConfig(&preconfig);
  preconfig.utf8_mode = 1;
  preconfig.configure_locale = 0;
  preconfig.parse_argv = 0;
  PyStatus status = Py_PreInitialize(&preconfig);
  if (PyStatus_Exception(status) != 0) return status;

  PyConfig config;
  PyConfig_InitPythonConfig(&config);
  config.install_signal_handlers = 0;
  config.parse_argv = 0;
  config.faulthandler = 0;  // PYTHONFAULTHANDLER would take Node's SIGSEGV handler
  config.site_import = 0;
  status = PyConfig_SetBytesString(&config, &config.executable, options.executable.c_str());
  if (PyStatus_Exception(status) == 0) {
    status = PyConfig_SetBytesString(&config, &config.program_name, options.executable.c_str());
  }
  if (PyStatus_Exception(status) == 0) status = Py_InitializeFromConfig(&config);
  PyConfig_Clear(&config);
  return status;
}

// A copy of sys.flags with no_site = 0, or children started with sys.flags' arguments would get -S.
bool RestoreSiteFlag() {
  PyObject* flags = PySys_GetObject("flags");
  const Owned names(
      PyObject_GetAttrString(reinterpret_cast<PyObject*>(Py_TYPE(flags)), "__match_args__"));
  if (!names) return false;
  const Owned copy(PyStructSequence_New(Py_TYPE(flags)));
  if (!copy) return false;
  const Py_ssize_t visible = PyTuple_GET_SIZE(names.get());
  const Owned count(PyObject_GetAttrString(flags, "n_fields"));
  if (!count) return false;
  const Py_ssize_t fields = PyLong_AsSsize_t(count.get());
  for (Py_ssize_t i = 0; i < fields; ++i) {
    PyObject* value = PyStructSequence_GetItem(flags, i);
    const bool no_site = i < visible && PyUnicode_CompareWithASCIIString(
                                            PyTuple_GET_ITEM(names.get(), i), "no_site") == 0;
    PyStructSequence_SetItem(copy.get(), i,
                             no_site ? PyLong_FromLong(0) : Owned::NewRef(value).release());
  }
  return PySys_SetObject("flags", copy.get()) == 0;
}

void CallAndReport(const Gil& gil, const char* module, const char* function) {
  const Owned imported(PyImport_ImportModule(module));
  const Owned result(imported ? PyObject_CallMethod(imported.get(), function, nullptr) : nullptr);
  if (!result) ReportUnlessInterrupted(gil);
}

// threading's wait (3.13) swallows the watchdog's interrupt and reports it by itself.
constexpr const char* kShutDownThreads = R"(
import sys, threading
def quiet(report, before=sys.unraisablehook):
    if report.exc_type is not KeyboardInterrupt:
        before(report)
before = sys.unraisablehook
sys.unraisablehook = quiet
try:
    threading._shutdown()
finally:
    sys.unraisablehook = before
)";

void ShutDownThreads(const Gil& gil) {
  const Owned globals(PyDict_New());
  if (globals) PyDict_SetItemString(globals.get(), "__builtins__", PyEval_GetBuiltins());
  const Owned done(globals
                       ? PyRun_String(kShutDownThreads, Py_file_input, globals.get(), globals.get())
                       : nullptr);
  if (!done) ReportUnlessInterrupted(gil);
}

bool IsClosed(PyObject* stream) {
  const Owned closed(PyObject_GetAttrString(stream, "closed"));
  const bool is_closed = closed && PyObject_IsTrue(closed.get()) > 0;
  PyErr_Clear();
  return is_closed;
}

// What the program itself has closed counts as flushed, as at the end of plain Python.
bool Flush(const char* name) {
  PyObject* stream = PySys_GetObject(name);
  if (stream == nullptr || stream == Py_None) return true;
  const Owned held = Owned::NewRef(stream);
  if (IsClosed(held.get())) return true;
  const Owned result(PyObject_CallMethod(held.get(), "flush", nullptr));
  return static_cast<bool>(result);
}

// Before what may keep the process until it ends without another look at them. What fails now is
// reported when it fails again.
void FlushEarly() {
  for (const char* name : {"stdout", "stderr"}) {
    if (!Flush(name)) PyErr_Clear();
  }
}

// Node.js has them closed in children, and gives its own theirs. Python's, where the policy allows
// them, expect to inherit 0, 1 and 2 (PEP 446).
void InheritStandardStreams() {
#ifndef _WIN32
  for (int fd = 0; fd <= 2; ++fd) {
    const int flags = fcntl(fd, F_GETFD);
    if (flags >= 0) fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC);
  }
#endif
}

}  // namespace

base::Error StartError(const char* function, const char* message) {
  std::string text = "Python did not start";
  if (function != nullptr) text += std::string(" (") + function + ")";
  if (message != nullptr) text += std::string(": ") + message;
  return base::Error{"ERR_COLOOP_START", text};
}

base::Result<void> FinishStart(const Gil& gil, const InterpreterConfig& options) {
  int flags = 0;
#if defined(RTLD_DEEPBIND)
  if (options.deep_bind) flags = RTLD_NOW | RTLD_DEEPBIND;
#endif
  const Owned globals(PyDict_New());
  if (!globals) return TakeAsError(gil, "ERR_COLOOP_START");
  PyDict_SetItemString(globals.get(), "__builtins__", PyEval_GetBuiltins());
  const Owned done(PyRun_String(kFinishStart, Py_file_input, globals.get(), globals.get()));
  if (!done) return TakeAsError(gil, "ERR_COLOOP_START");
  const Owned site(
      PyObject_CallFunction(PyDict_GetItemString(globals.get(), "run_site"), "i", flags));
  if (!site || !RestoreSiteFlag()) return TakeAsError(gil, "ERR_COLOOP_START");
  const Owned package(PyObject_CallFunction(PyDict_GetItemString(globals.get(), "load_package"),
                                            "s", options.package_folder.c_str()));
  if (!package) return TakeAsError(gil, "ERR_COLOOP_START");
  return {};
}

void ReportUnlessInterrupted(const Gil& gil) {
  if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) != 0) {
    PyErr_Clear();
  } else {
    ReportUnraisable(gil, nullptr);
  }
}

void RunExitHandlers(const Gil& gil) {
  CallAndReport(gil, "atexit", "_run_exitfuncs");
  CallAndReport(gil, "_erlang_impl._failures", "tell_failures");
  for (const char* name : {"stdout", "stderr"}) {
    if (!Flush(name)) ReportUnlessInterrupted(gil);
  }
}

bool IsRunByOthers() { return Py_IsInitialized() != 0; }

base::Result<void> Initialize(const InterpreterConfig& config) {
  const PyStatus status = InitializeFromConfig(config);
  if (PyStatus_Exception(status) != 0) return StartError(status.func, status.err_msg);
  InheritStandardStreams();
  GilSlot& slot = CurrentGilSlot();
  slot.held = true;
  (void)AddInterpreter(PyInterpreterState_Get());
  SetInterpreterUsable(true);
  const Gil gil = Gil::FromPython();
  base::Result<void> result = PrepareInterrupts(gil);
  if (result.ok()) result = ReportFaults(gil);
  if (result.ok() && config.before_user_code != nullptr) config.before_user_code(gil);
  if (result.ok()) result = FinishStart(gil, config);
  slot.held = false;
  slot.state = PyEval_SaveThread();
  return result;
}

std::string RuntimeVersion() { return Py_GetVersion(); }

bool IsPastExit() { return past_exit.load(); }

bool RunExitSequence(int grace_ms, int code, void (*begin)(const Gil& gil)) {
  static bool done = false;
  if (done || !InterpreterUsable()) return false;
  done = true;
  GilSlot& slot = CurrentGilSlot();
  {
    ExitWatchdog watchdog(grace_ms, code);
    if (!slot.held) {
      PyEval_RestoreThread(slot.state);
      slot.held = true;
    }
    watchdog.Entered();
    const Gil gil = Gil::FromPython();
    PyErr_Clear();
    begin(gil);
    FlushEarly();
    ShutDownThreads(gil);
    RunExitHandlers(gil);
  }
  SetInterpreterUsable(false);
  past_exit.store(true);
  if (AttachedThreads().empty()) return false;
  slot.held = false;
  slot.state = PyEval_SaveThread();
  return true;
}

}  // namespace coloop::interp
