#include "io/transport.h"

#include <Python.h>

#include <cstddef>
#include <limits>
#include <utility>

#include "interp/error.h"
#include "interp/gil.h"
#include "interp/ref.h"
#include "loop/handle.h"
#include "loop/loop.h"

namespace coloop::io {

using interp::Gil;
using interp::Owned;

bool ReadWaterMark(PyObject* value, std::size_t* mark) {
  constexpr long long kMost = std::numeric_limits<long long>::max();
  if (value == nullptr) {
    PyErr_SetString(PyExc_AttributeError, "a water mark cannot be deleted");
    return false;
  }
  int overflow = 0;
  long long size = 0;
  if (PyLong_Check(value)) {
    size = PyLong_AsLongLongAndOverflow(value, &overflow);
  } else {
    const double number = PyFloat_AsDouble(value);
    const bool fits = number < static_cast<double>(kMost);
    size = number >= 0 && fits ? static_cast<long long>(number) : -1;
    overflow = number >= 0 && !fits ? 1 : 0;
  }
  if (PyErr_Occurred() != nullptr) return false;
  if (overflow <= 0 && size < 0) {
    PyErr_SetString(PyExc_ValueError, "a water mark must not be negative");
    return false;
  }
  *mark = static_cast<std::size_t>(overflow > 0 ? kMost : size);
  return true;
}

bool Leaves() {
  return PyErr_ExceptionMatches(PyExc_SystemExit) != 0 ||
         PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) != 0;
}

bool CallSoon(const Gil& gil, loop::Loop& loop, const Owned& callback, PyObject* argument) {
  if (!callback) return false;
  if (loop.closed) {
    PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
    return false;
  }
  Owned handle =
      loop::MakeHandle(gil, loop, callback.get(), &argument, argument != nullptr ? 1 : 0, nullptr);
  if (!handle) return false;
  loop.CallSoon(std::move(handle));
  return true;
}

bool TellOfFlow(const Gil& gil, PyObject* transport, const Owned& protocol, PyObject* method) {
  const Owned to = Owned::NewRef(protocol.get());
  const Owned done(PyObject_CallMethodNoArgs(to.get(), method));
  if (done) return true;
  if (Leaves()) return false;
  const Owned exception = interp::TakeException(gil);
  const Owned message(PyUnicode_FromFormat("protocol.%U() failed", method));
  if (!message) return false;
  const Owned told(
      PyObject_CallMethod(transport, "_flow_control_failed", "OO", message.get(), exception.get()));
  return static_cast<bool>(told);
}

bool FailTransport(const Gil& gil, PyObject* transport, const char* message) {
  if (Leaves()) return false;
  const Owned exception = interp::TakeException(gil);
  const Owned done(PyObject_CallMethod(transport, "_fatal_error", "Os", exception.get(), message));
  return static_cast<bool>(done);
}

}  // namespace coloop::io
