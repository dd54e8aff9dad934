// The hook itself. It runs in every thread that holds a GIL, from before Python is up until after
// it is gone; what it lets pass costs a look-up, runs no Python code and allocates nothing.
#include "sandbox/audit_hook.h"

#include <Python.h>
#include <fcntl.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "interp/gil.h"
#include "sandbox/ctypes_symbols.h"
#include "sandbox/events.h"
#include "sandbox/guards.h"
#include "sandbox/policy.h"
#include "sandbox/posixsubprocess.h"
#include "sandbox/refusal.h"

namespace coloop::sandbox {

namespace {

// Borrowed, or null. Whoever raises an event by sys.audit gives it the arguments he likes.
PyObject* Argument(PyObject* arguments, Py_ssize_t index) {
  return index < PyTuple_GET_SIZE(arguments) ? PyTuple_GET_ITEM(arguments, index) : nullptr;
}

// True if the last component of the dotted name is `last`: an extension's init function is found by
// it, whatever package the file is loaded under.
bool NameEndsIn(PyObject* name, const char* last) {
  const Py_ssize_t length = PyUnicode_GET_LENGTH(name);
  const Py_ssize_t dot = PyUnicode_FindChar(name, '.', 0, length, -1);
  Py_ssize_t at = dot < 0 ? 0 : dot + 1;
  for (; at < length && *last != '\0'; ++at, ++last) {
    if (PyUnicode_READ_CHAR(name, at) != static_cast<unsigned char>(*last)) return false;
  }
  return at == length && *last == '\0';
}

EventId InspectImport(PyObject* arguments) {
  PyObject* name = Argument(arguments, 0);
  PyObject* file = Argument(arguments, 1);
  if (name == nullptr || PyUnicode_Check(name) == 0) return kUnknownEvent;
  if (Denied(IdOf("import/_cffi_backend")) && NameEndsIn(name, "_cffi_backend")) {
    return IdOf("import/_cffi_backend");
  }
  const bool extension = file != nullptr && file != Py_None;
  if (extension && NameEndsIn(name, "_posixsubprocess") && !LoadingOriginalForkExec()) {
    return IdOf("_posixsubprocess.fork_exec");
  }
  return kUnknownEvent;
}

EventId InspectOpen(PyObject* arguments) {
  PyObject* flags = Argument(arguments, 2);
  if (flags == nullptr || PyLong_Check(flags) == 0) return kUnknownEvent;
  int overflow = 0;
  const long value = PyLong_AsLongAndOverflow(flags, &overflow);
  const bool writes = (value & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND)) != 0;
  return writes ? IdOf("open/write") : kUnknownEvent;
}

EventId Classify(void* handle, PyObject* name) {
  // ctypes looks up an ordinal only on Windows; bytes come from `_ctypes.dlsym`'s own users.
  const char* text = nullptr;
  if (name != nullptr && PyUnicode_Check(name) != 0) text = PyUnicode_AsUTF8(name);
  if (name != nullptr && PyBytes_Check(name) != 0) text = PyBytes_AS_STRING(name);
  if (text == nullptr) {
    PyErr_Clear();
    return kUnknownEvent;
  }
  const EventId event = ClassifySymbol(handle, text);
  return event != kUnknownEvent && Denied(event) ? event : kUnknownEvent;
}

void* HandleFrom(PyObject* number) {
  if (number == nullptr || PyLong_Check(number) == 0) return nullptr;
  void* handle = PyLong_AsVoidPtr(number);
  if (handle == nullptr) PyErr_Clear();
  return handle;
}

// The library's handle is an attribute of its instance; read without running any Python code. Where
// there is none (a class of its own), the C library stands in for it.
EventId InspectLibrarySymbol(PyObject* arguments) {
  PyObject* library = Argument(arguments, 0);
  void* handle = nullptr;
  if (library != nullptr && PyLong_Check(library) == 0) {
    PyObject* attributes = PyObject_GenericGetDict(library, nullptr);
    if (attributes != nullptr) {
      handle = HandleFrom(PyDict_GetItemString(attributes, "_handle"));
      Py_DECREF(attributes);
    } else {
      PyErr_Clear();
    }
  }
  return Classify(handle, Argument(arguments, 1));
}

EventId Inspect(EventId event, PyObject* arguments) {
  switch (event) {
    case IdOf("import"):
      return InspectImport(arguments);
    case IdOf("open"):
      return InspectOpen(arguments);
    case IdOf("ctypes.dlsym"):
      return InspectLibrarySymbol(arguments);
    case IdOf("ctypes.dlsym/handle"):
      return Classify(HandleFrom(Argument(arguments, 0)), Argument(arguments, 1));
    default:
      return kUnknownEvent;
  }
}

int Hook(const char* name, PyObject* arguments, void*) {
  const EventId event = FindEvent(name);
  if (event == kUnknownEvent) return 0;
  const Action action = ActionOf(event);
  if (action == Action::kPass) return 0;
  const EventId refused = action == Action::kRefuse ? event : Inspect(event, arguments);
  if (refused == kUnknownEvent) return 0;
  Refuse(refused);
  return -1;
}

}  // namespace

base::Result<void> Install(const Options& options) {
  base::Result<void> set = SetPolicy(options);
  if (!set.ok()) return set;
  ResolveSymbols();
  if (!ShadowForkExec() || !GuardModules() || PySys_AddAuditHook(Hook, nullptr) != 0) {
    return base::Error{"ERR_COLOOP_START",
                       "the sandbox could not replace Python's built-in modules"};
  }
  return {};
}

base::Result<void> CheckInstalled(const Options& options) { return CheckSame(options); }

void Arm(const interp::Gil&) { ArmGuards(); }

void Seal() { SealPolicy(); }

base::Result<void> Tighten(const std::vector<std::string>& deny) { return TightenPolicy(deny); }

}  // namespace coloop::sandbox
