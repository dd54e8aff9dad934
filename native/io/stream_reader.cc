#include "io/stream_reader.h"

#include <Python.h>

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "interp/gil.h"
#include "interp/method.h"
#include "interp/ref.h"
#include "io/names.h"
#include "io/stream_class.h"
#include "io/stream_coroutine.h"
#include "io/stream_fields.h"
#include "io/stream_read.h"

namespace coloop::io {

using interp::AsMethod;
using interp::Gil;
using interp::Owned;

namespace {

// In the order of the table below.
enum Method : std::size_t {
  kRead,
  kFeedData,
  kWaitForData,
  kWakeUp,
  kException,
  kMaybeResume,
};

PyObject* Read(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  StreamClass& readers = Classes().reader;
  if (!readers.IsWhole()) return readers.CallPatched(kRead, self, args, count, keywords);
  if (count == 1 && keywords == nullptr && PyLong_CheckExact(args[0]) != 0 && !TracksOrigins()) {
    int overflow = 0;
    const long limit = PyLong_AsLongAndOverflow(args[0], &overflow);
    if (limit > 0) return NewStreamRead(Gil::FromPython(), self, limit);
  }
  return readers.CallPlain(kRead, self, args, count, keywords);
}

PyObject* WaitForData(PyObject* self, PyObject* method) {
  StreamClass& readers = Classes().reader;
  if (!readers.IsWhole()) return readers.CallPatched(kWaitForData, self, &method, 1, nullptr);
  if (TracksOrigins()) return readers.CallPlain(kWaitForData, self, &method, 1, nullptr);
  return NewStreamWait(Gil::FromPython(), self, method);
}

// StreamReader._wakeup_waiter()
bool WakeWaiter(const Fields& reader) {
  const Owned waiter = reader.Get(Names().waiter);
  if (!waiter || waiter.get() == Py_None) return static_cast<bool>(waiter);
  if (!reader.Set(Names().waiter, Py_None)) return false;
  const Owned cancelled(PyObject_CallMethodNoArgs(waiter.get(), Names().cancelled));
  const int is_cancelled = cancelled ? PyObject_IsTrue(cancelled.get()) : -1;
  if (is_cancelled != 0) return is_cancelled > 0;
  const Owned set(PyObject_CallMethodOneArg(waiter.get(), Names().set_result, Py_None));
  return static_cast<bool>(set);
}

bool Append(PyObject* buffer, PyObject* data) {
  if (PyByteArray_CheckExact(buffer) == 0 || PyBytes_CheckExact(data) == 0) {
    const Owned done(PyObject_CallMethod(buffer, "extend", "(O)", data));
    return static_cast<bool>(done);
  }
  const Py_ssize_t size = PyByteArray_GET_SIZE(buffer);
  const Py_ssize_t added = PyBytes_GET_SIZE(data);
  if (added > PY_SSIZE_T_MAX - size) {
    PyErr_NoMemory();
    return false;
  }
  if (PyByteArray_Resize(buffer, size + added) != 0) return false;
  std::copy_n(PyBytes_AS_STRING(data), added, PyByteArray_AS_STRING(buffer) + size);
  return true;
}

// len(buffer) > 2 * limit, which may be any number. -1 with an exception set.
int IsMoreThanTwice(PyObject* buffer, PyObject* limit) {
  const Py_ssize_t size = PyObject_Size(buffer);
  if (size < 0) return -1;
  if (PyLong_CheckExact(limit) != 0) {
    int overflow = 0;
    const long bound = PyLong_AsLongAndOverflow(limit, &overflow);
    if (overflow == 0 && bound > 0) return size / 2 >= bound && size - bound > bound ? 1 : 0;
  }
  const Owned twice(PyNumber_Add(limit, limit));
  const Owned length(twice ? PyLong_FromSsize_t(size) : nullptr);
  return length ? PyObject_RichCompareBool(length.get(), twice.get(), Py_GT) : -1;
}

// Pauses the transport while more than twice the limit is there.
bool MaybePause(const Fields& reader, PyObject* buffer) {
  const Owned limit = reader.Get(Names().limit);
  const int is_much = limit ? IsMoreThanTwice(buffer, limit.get()) : -1;
  if (is_much <= 0) return is_much == 0;
  const Owned transport = reader.Get(Names().transport);
  if (!transport || transport.get() == Py_None) return static_cast<bool>(transport);
  const int paused = reader.IsTrue(Names().paused);
  if (paused != 0) return paused > 0;
  const Owned done(PyObject_CallMethodNoArgs(transport.get(), Names().pause_reading));
  if (done) return reader.Set(Names().paused, Py_True);
  // A transport that cannot be paused is asked once.
  if (PyErr_ExceptionMatches(PyExc_NotImplementedError) == 0) return false;
  PyErr_Clear();
  return reader.Set(Names().transport, Py_None);
}

PyObject* Feed(const Fields& reader, PyObject* data) {
  const int is_over = reader.IsTrue(Names().eof);
  if (is_over > 0) PyErr_SetString(PyExc_AssertionError, "feed_data after feed_eof");
  if (is_over != 0) return nullptr;
  if (PyBytes_GET_SIZE(data) == 0) Py_RETURN_NONE;
  const Owned buffer = reader.Get(Names().buffer);
  if (!buffer || !Append(buffer.get(), data) || !WakeWaiter(reader)) return nullptr;
  if (!MaybePause(reader, buffer.get())) return nullptr;
  Py_RETURN_NONE;
}

PyObject* FeedData(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  StreamClass& readers = Classes().reader;
  if (!readers.IsWhole()) return readers.CallPatched(kFeedData, self, args, count, keywords);
  if (count == 1 && keywords == nullptr && PyBytes_CheckExact(args[0]) != 0) {
    return Feed(Fields(Gil::FromPython(), self), args[0]);
  }
  return readers.CallPlain(kFeedData, self, args, count, keywords);
}

PyObject* WakeUp(PyObject* self, PyObject*) {
  StreamClass& readers = Classes().reader;
  if (!readers.IsWhole()) return readers.CallPatched(kWakeUp, self, nullptr, 0, nullptr);
  if (!WakeWaiter(Fields(Gil::FromPython(), self))) return nullptr;
  Py_RETURN_NONE;
}

PyObject* Exception(PyObject* self, PyObject*) {
  StreamClass& readers = Classes().reader;
  if (!readers.IsWhole()) return readers.CallPatched(kException, self, nullptr, 0, nullptr);
  return Fields(Gil::FromPython(), self).Get(Names().exception_field).release();
}

PyObject* MaybeResume(PyObject* self, PyObject*) {
  StreamClass& readers = Classes().reader;
  if (!readers.IsWhole()) return readers.CallPatched(kMaybeResume, self, nullptr, 0, nullptr);
  if (!MaybeResumeTransport(Gil::FromPython(), self)) return nullptr;
  Py_RETURN_NONE;
}

PyMethodDef methods[] = {
    {"read", AsMethod(Read), METH_FASTCALL | METH_KEYWORDS,
     "read($self, n=-1)\n--\n\nasyncio.StreamReader.read"},
    {"feed_data", AsMethod(FeedData), METH_FASTCALL | METH_KEYWORDS,
     "feed_data($self, data)\n--\n\nasyncio.StreamReader.feed_data"},
    {"_wait_for_data", WaitForData, METH_O, nullptr},
    {"_wakeup_waiter", WakeUp, METH_NOARGS, nullptr},
    {"exception", Exception, METH_NOARGS, "exception($self)\n--\n\nasyncio.StreamReader.exception"},
    {"_maybe_resume_transport", MaybeResume, METH_NOARGS, nullptr},
};

}  // namespace

bool InitStreamReader(const Gil& gil, PyObject* streams) {
  return Classes().reader.Make(gil, streams, "StreamReader", methods, std::size(methods));
}

PyObject* FeedReader(const Gil& gil, PyObject* reader, PyObject* data) {
  if (PyBytes_CheckExact(data) != 0 && Classes().reader.Serves(reader)) {
    const Fields fields(gil, reader);
    const int own = fields.Has(Names().feed_data);
    if (own == 0) return Feed(fields, data);
    if (own < 0) return nullptr;
  }
  return PyObject_CallMethodOneArg(reader, Names().feed_data, data);
}

}  // namespace coloop::io
