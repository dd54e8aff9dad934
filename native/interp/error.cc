// Fetching and raising exceptions, the same on every supported version.
#include "interp/error.h"

#include <Python.h>

#include <string>

#include "base/result.h"
#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::interp {

Owned TakeException(const Gil&) {
#if PY_VERSION_HEX >= 0x030C0000
  Owned exception(PyErr_GetRaisedException());
#else
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  if (type != nullptr) PyErr_NormalizeException(&type, &value, &traceback);
  if (value != nullptr && traceback != nullptr) PyException_SetTraceback(value, traceback);
  Py_XDECREF(type);
  Py_XDECREF(traceback);
  Owned exception(value);
#endif
  if (exception) return exception;
  Owned fallback(PyObject_CallFunction(PyExc_SystemError, "s",
                                       "a native function failed without setting an exception"));
  if (!fallback) {
    PyErr_Clear();
    return Owned::NewRef(PyExc_SystemError);
  }
  return fallback;
}

bool HasException(const Gil&) { return PyErr_Occurred() != nullptr; }

bool TakeInterrupt(const Gil&) {
  if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) == 0) return false;
  PyErr_Clear();
  return true;
}

bool TakeRecursionError(const Gil&) {
  if (PyErr_Occurred() == nullptr || PyErr_ExceptionMatches(PyExc_RecursionError) == 0) {
    return false;
  }
  PyErr_Clear();
  return true;
}

void RaiseException(const Gil&, PyObject* exception) {
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception)), exception);
}

void RaiseError(const Gil&, const base::Error& error) {
  PyObject* type = PyExc_RuntimeError;
  if (error.code == "ERR_COLOOP_CONVERSION" || error.code == "ERR_COLOOP_ARGUMENT") {
    type = PyExc_TypeError;
  }
  PyErr_SetString(type, error.message.c_str());
}

base::Error TakeAsError(const Gil& gil, const char* code) {
  const Owned exception = TakeException(gil);
  std::string message = Py_TYPE(exception.get())->tp_name;
  const Owned text(PyObject_Str(exception.get()));
  const char* utf8 = text ? PyUnicode_AsUTF8(text.get()) : nullptr;
  if (utf8 != nullptr) message += std::string(": ") + utf8;
  PyErr_Clear();
  return base::Error{code, message};
}

void ReportUnraisable(const Gil&, PyObject* where) { PyErr_WriteUnraisable(where); }

}  // namespace coloop::interp
