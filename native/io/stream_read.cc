// StreamReader.read() and StreamReader._wait_for_data() of asyncio/streams.py, step for step. The
// state is the reader's, in its attributes, as everything that reads it without us expects.
#include "io/stream_read.h"

#include <Python.h>

#include <algorithm>
#include <utility>

#include "interp/error.h"
#include "interp/gil.h"
#include "interp/ref.h"
#include "io/names.h"
#include "io/stream_coroutine.h"
#include "io/stream_fields.h"

namespace coloop::io {

using interp::Gil;
using interp::Owned;

namespace {

bool ResumeTransport(const Fields& reader) {
  if (!reader.Set(Names().paused, Py_False)) return false;
  const Owned transport = reader.Get(Names().transport);
  if (!transport) return false;
  const Owned done(PyObject_CallMethodNoArgs(transport.get(), Names().resume_reading));
  return static_cast<bool>(done);
}

// The reader's bytearray; null with an exception set.
Owned BufferOf(const Fields& reader) {
  Owned buffer = reader.Get(Names().buffer);
  if (buffer && PyByteArray_Check(buffer.get()) == 0) {
    PyErr_Format(PyExc_TypeError, "StreamReader._buffer is a bytearray, not %.100s",
                 Py_TYPE(buffer.get())->tp_name);
    return Owned();
  }
  return buffer;
}

// Pauses end once no more than the limit is there.
bool MaybeResume(const Fields& reader) {
  const int paused = reader.IsTrue(Names().paused);
  if (paused <= 0) return paused == 0;
  const Owned buffer = reader.Get(Names().buffer);
  const Owned limit = buffer ? reader.Get(Names().limit) : Owned();
  const Py_ssize_t size = limit ? PyObject_Size(buffer.get()) : -1;
  const Owned length(size >= 0 ? PyLong_FromSsize_t(size) : nullptr);
  if (!length) return false;
  const int fits = PyObject_RichCompareBool(length.get(), limit.get(), Py_LE);
  if (fits < 0) return false;
  return fits == 0 || ResumeTransport(reader);
}

// At most `limit` bytes of what is there.
Owned Take(const Fields& reader, Py_ssize_t limit) {
  const Owned buffer = BufferOf(reader);
  if (!buffer) return Owned();
  const Py_ssize_t size = PyByteArray_GET_SIZE(buffer.get());
  const Py_ssize_t count = std::min(limit, size);
  Owned data(PyBytes_FromStringAndSize(PyByteArray_AS_STRING(buffer.get()), count));
  if (!data) return Owned();
  const int dropped = count == size ? PyByteArray_Resize(buffer.get(), 0)
                                    : PySequence_DelSlice(buffer.get(), 0, count);
  return dropped == 0 && MaybeResume(reader) ? std::move(data) : Owned();
}

// Makes the reader's waiter. Null: with an exception set, or it waits.
Owned BeginToWait(const Fields& reader, CoroutineState& state) {
  const Owned other = reader.Get(Names().waiter);
  if (!other) return Owned();
  if (other.get() != Py_None) {
    PyErr_Format(PyExc_RuntimeError,
                 "%S() called while another coroutine is already waiting for incoming data",
                 state.method.get());
    return Owned();
  }
  const int eof = reader.IsTrue(Names().eof);
  if (eof != 0) {
    if (eof > 0) PyErr_SetString(PyExc_AssertionError, "_wait_for_data after EOF");
    return Owned();
  }
  // Whoever waits while the transport is paused waits for ever.
  const int paused = reader.IsTrue(Names().paused);
  if (paused < 0 || (paused > 0 && !ResumeTransport(reader))) return Owned();
  const Owned loop = reader.Get(Names().loop);
  const Owned waiter(loop ? PyObject_CallMethodNoArgs(loop.get(), Names().create_future) : nullptr);
  Owned iterator = waiter ? IteratorOf(waiter.get()) : Owned();
  if (iterator && reader.Set(Names().waiter, waiter.get())) state.waiting = std::move(iterator);
  return Owned();
}

Owned BeginWait(const Gil& gil, CoroutineState& state) {
  return BeginToWait(Fields(gil, state.owner.get()), state);
}

// The end of waiting, with or without an exception.
bool EndWaiting(const Gil& gil, const Fields& reader, CoroutineState& state) {
  state.waiting.reset();
  const bool failed = PyErr_Occurred() != nullptr;
  const Owned exception = failed ? interp::TakeException(gil) : Owned();
  const bool done = reader.Set(Names().waiter, Py_None);
  if (done && failed) interp::RaiseException(gil, exception.get());
  return done && !failed;
}

Owned EndWait(const Gil& gil, CoroutineState& state, Owned) {
  const bool done = EndWaiting(gil, Fields(gil, state.owner.get()), state);
  return done ? Owned::NewRef(Py_None) : Owned();
}

bool GiveUp(const Gil& gil, CoroutineState& state) {
  return EndWaiting(gil, Fields(gil, state.owner.get()), state);
}

Owned BeginRead(const Gil& gil, CoroutineState& state) {
  const Fields reader(gil, state.owner.get());
  const Owned exception = reader.Get(Names().exception_field);
  if (!exception) return Owned();
  if (exception.get() != Py_None) {
    if (PyExceptionInstance_Check(exception.get())) {
      interp::RaiseException(gil, exception.get());
    } else if (PyExceptionClass_Check(exception.get())) {
      PyErr_SetNone(exception.get());
    } else {
      PyErr_SetString(PyExc_TypeError, "exceptions must derive from BaseException");
    }
    return Owned();
  }
  const Owned buffer = BufferOf(reader);
  if (!buffer) return Owned();
  if (PyByteArray_GET_SIZE(buffer.get()) == 0) {
    const int eof = reader.IsTrue(Names().eof);
    if (eof < 0) return Owned();
    if (eof == 0) return BeginToWait(reader, state);
  }
  return Take(reader, state.limit);
}

Owned EndRead(const Gil& gil, CoroutineState& state, Owned) {
  const Fields reader(gil, state.owner.get());
  return EndWaiting(gil, reader, state) ? Take(reader, state.limit) : Owned();
}

constexpr CoroutineSteps kRead{"read", "StreamReader.read", BeginRead, EndRead, GiveUp};
constexpr CoroutineSteps kWait{"_wait_for_data", "StreamReader._wait_for_data", BeginWait, EndWait,
                               GiveUp};

PyObject* New(const Gil& gil, const CoroutineSteps& steps, PyObject* reader, PyObject* method,
              long limit) {
  CoroutineState state;
  state.owner = Owned::NewRef(reader);
  state.method = Owned::NewRef(method);
  state.limit = limit;
  return NewCoroutine(gil, steps, std::move(state));
}

}  // namespace

PyObject* NewStreamRead(const Gil& gil, PyObject* reader, long limit) {
  return New(gil, kRead, reader, Names().read, limit);
}

PyObject* NewStreamWait(const Gil& gil, PyObject* reader, PyObject* method) {
  return New(gil, kWait, reader, method, 0);
}

bool MaybeResumeTransport(const Gil& gil, PyObject* reader) {
  return MaybeResume(Fields(gil, reader));
}

}  // namespace coloop::io
