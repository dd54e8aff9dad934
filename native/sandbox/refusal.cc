// The classes of refusals: one set for each interpreter, made when the first is raised.
#include "sandbox/refusal.h"

#include <Python.h>
#include <frameobject.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "interp/ref.h"
#include "sandbox/events.h"
#include "sandbox/reports.h"

namespace coloop::sandbox {

namespace {

using interp::Owned;

constexpr const char* kProcessText =
    " is blocked in Node.js host context. fork()/exec() would corrupt the Node.js runtime. "
    "Start Python with sandbox: { subprocess } (coloop run: --allow subprocess), or use "
    "node:child_process through a registered function for subprocess management.";
constexpr const char* kSignalText =
    " is blocked in Node.js host context. Signals and their handlers belong to Node.js. "
    "Use py.onSignal() in JavaScript, which calls a JavaScript or Python function, or start Python "
    "with signals: \"host\".";
constexpr const char* kMultiprocessingText =
    " multiprocessing and ProcessPoolExecutor work by child processes: use threads "
    "(ThreadPoolExecutor, asyncio.to_thread), or a child process or Worker that Node.js runs.";
constexpr const char* kBlockedText = " is blocked in Node.js host context. ";
constexpr const char* kPolicyText = "The sandbox policy denies it.";

// What a rule quotes may be the bytes of a file name.
Owned Text(std::string_view text) {
  return Owned(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "backslashreplace"));
}

// The remedy depends on who wanted the process. A name that lies changes the text only.
bool CalledByMultiprocessing() {
  constexpr const char* kModules[] = {"multiprocessing.", "concurrent.futures.process"};
  PyFrameObject* frame = PyEval_GetFrame();
  Py_XINCREF(frame);
  bool found = false;
  while (frame != nullptr && !found) {
    const Owned globals(PyObject_GetAttrString(reinterpret_cast<PyObject*>(frame), "f_globals"));
    PyObject* name = globals ? PyDict_GetItemString(globals.get(), "__name__") : nullptr;
    const char* text =
        name != nullptr && PyUnicode_Check(name) != 0 ? PyUnicode_AsUTF8(name) : nullptr;
    for (const char* module : kModules) {
      found = found || (text != nullptr && std::string_view(text).starts_with(module));
    }
    PyFrameObject* back = PyFrame_GetBack(frame);
    Py_DECREF(frame);
    frame = back;
  }
  Py_XDECREF(frame);
  PyErr_Clear();
  return found;
}

PyObject* SecondBase(Group group) {
  if (group == Group::kSignals) return PyExc_ValueError;
  const bool import = group == Group::kImport || group == Group::kCffi;
  return import ? PyExc_ImportError : PyExc_PermissionError;
}

// A pickle names classes, and this one's name is that of the real RuntimeError: become that.
PyObject* Reduce(PyObject* self, PyObject*) {
  const Owned arguments(PyObject_GetAttrString(self, "args"));
  const Owned event(PyObject_GetAttrString(self, "event"));
  if (!arguments || !event) return nullptr;
  return Py_BuildValue("OO{s:i,s:O}", PyExc_RuntimeError, arguments.get(), "errno", EPERM, "event",
                       event.get());
}

PyMethodDef reduce = {"__reduce__", Reduce, METH_NOARGS, nullptr};

// As `class RuntimeError(RuntimeError, second)` in builtins would be. errno is an attribute of the
// class, not the OSError's own: with that set, str() would begin with "[Errno 1]".
Owned MakeClass(PyObject* second) {
  Owned type(PyObject_CallFunction(reinterpret_cast<PyObject*>(&PyType_Type), "s(OO){s:s,s:i,s:s}",
                                   "RuntimeError", PyExc_RuntimeError, second, "__module__",
                                   "builtins", "errno", EPERM, "__doc__",
                                   "Refused by coloop's sandbox."));
  if (!type) return type;
  const Owned method(PyDescr_NewMethod(reinterpret_cast<PyTypeObject*>(type.get()), &reduce));
  if (!method || PyObject_SetAttrString(type.get(), "__reduce__", method.get()) != 0)
    return Owned();
  return type;
}

Owned ClassOf(PyObject* second) {
  PyObject* state = PyInterpreterState_GetDict(PyInterpreterState_Get());
  if (state == nullptr) return Owned::NewRef(PyExc_RuntimeError);  // the interpreter is going
  const std::string key =
      std::string("coloop.refusal.") + reinterpret_cast<PyTypeObject*>(second)->tp_name;
  PyObject* known = PyDict_GetItemString(state, key.c_str());
  if (known != nullptr) return Owned::NewRef(known);
  Owned made = MakeClass(second);
  if (made && PyDict_SetItemString(state, key.c_str(), made.get()) != 0) return Owned();
  return made;
}

}  // namespace

std::string RefusalText(EventId id, const std::string& why) {
  const Event& event = kEvents[id];
  const std::string name(event.name);
  if (!why.empty()) return name + kBlockedText + why;
  // No remedy of the group's makes up for what the program itself denies.
  if (event.standard == Verdict::kAllow) return name + kBlockedText + kPolicyText;
  if (event.group == Group::kSignals) return name + kSignalText;
  if (event.group != Group::kSubprocess) return name + kBlockedText + kPolicyText;
  return name + kProcessText + (CalledByMultiprocessing() ? kMultiprocessingText : "");
}

PyObject* Refuse(EventId event, PyObject* arguments, const std::string& why) {
  const Event& refused = kEvents[event];
  ReportEvent(event, Reported::kRefused, arguments);
  PyObject* second = SecondBase(refused.group);
  const Owned type = ClassOf(second);
  if (!type) return nullptr;
  const Owned message = Text(RefusalText(event, why));
  const Owned exception(message ? PyObject_CallOneArg(type.get(), message.get()) : nullptr);
  const Owned name = exception ? Text(refused.name) : Owned();
  if (!name || PyObject_SetAttrString(exception.get(), "event", name.get()) != 0) return nullptr;
  if (second == PyExc_PermissionError &&
      PyObject_SetAttrString(exception.get(), "strerror", message.get()) != 0) {
    return nullptr;
  }
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.get())), exception.get());
  return nullptr;
}

}  // namespace coloop::sandbox
