// StreamReader.read() and StreamReader._wait_for_data() of asyncio/streams.py, step for step.
//
// The state is the reader's, in its attributes, as everything that reads it without us expects; the
// coroutine has no more than how far it is. As a coroutine of Python's it does nothing before it is
// awaited, warns when nobody awaits it, and gives up the reader's waiter when it is closed.
#include "io/stream_read.h"

#include <Python.h>
#include <structmember.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "interp/error.h"
#include "interp/gil.h"
#include "interp/method.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"
#include "io/names.h"

namespace coloop::io {

using interp::Gil;
using interp::Owned;

namespace {

struct ReadObject {
  PyObject_HEAD PyObject* reader;
  PyObject* method;   // whom the waiter is for, in the text of an error
  PyObject* waiting;  // the waiter's iterator, while it waits
  PyObject* weak_references;
  long limit;  // what read() was asked for; 0: only waits
  bool started;
  bool running;
  bool ended;
};

struct ReadState {
  PyTypeObject* type = nullptr;
  PyObject* read = nullptr;  // "read"
};
interp::PerInterpreter<ReadState> state;

ReadObject& From(PyObject* self) { return *reinterpret_cast<ReadObject*>(self); }

// -1 with an exception set.
int IsTrue(PyObject* reader, PyObject* name) {
  const Owned value(PyObject_GetAttr(reader, name));
  return value ? PyObject_IsTrue(value.get()) : -1;
}

bool ResumeTransport(PyObject* reader) {
  if (PyObject_SetAttr(reader, Names().paused, Py_False) != 0) return false;
  const Owned transport(PyObject_GetAttr(reader, Names().transport));
  if (!transport) return false;
  const Owned done(PyObject_CallMethodNoArgs(transport.get(), Names().resume_reading));
  return static_cast<bool>(done);
}

// The iterator that `await` would drive.
Owned IteratorOf(PyObject* awaitable) {
  const PyAsyncMethods* async = Py_TYPE(awaitable)->tp_as_async;
  if (async == nullptr || async->am_await == nullptr) {
    PyErr_Format(PyExc_TypeError, "object %.100s can't be used in 'await' expression",
                 Py_TYPE(awaitable)->tp_name);
    return Owned();
  }
  return Owned(async->am_await(awaitable));
}

// The reader's bytearray; null with an exception set.
Owned BufferOf(PyObject* reader) {
  Owned buffer(PyObject_GetAttr(reader, Names().buffer));
  if (buffer && PyByteArray_Check(buffer.get()) == 0) {
    PyErr_Format(PyExc_TypeError, "StreamReader._buffer is a bytearray, not %.100s",
                 Py_TYPE(buffer.get())->tp_name);
    return Owned();
  }
  return buffer;
}

// At most `limit` bytes of what is there.
Owned Take(const Gil& gil, PyObject* reader, Py_ssize_t limit) {
  const Owned buffer = BufferOf(reader);
  if (!buffer) return Owned();
  const Py_ssize_t size = PyByteArray_GET_SIZE(buffer.get());
  const Py_ssize_t count = std::min(limit, size);
  Owned data(PyBytes_FromStringAndSize(PyByteArray_AS_STRING(buffer.get()), count));
  if (!data) return Owned();
  const int dropped = count == size ? PyByteArray_Resize(buffer.get(), 0)
                                    : PySequence_DelSlice(buffer.get(), 0, count);
  return dropped == 0 && MaybeResumeTransport(gil, reader) ? std::move(data) : Owned();
}

// Makes the reader's waiter. False with an exception set.
bool BeginToWait(ReadObject& self) {
  const Owned other(PyObject_GetAttr(self.reader, Names().waiter));
  if (!other) return false;
  if (other.get() != Py_None) {
    PyErr_Format(PyExc_RuntimeError,
                 "%S() called while another coroutine is already waiting for incoming data",
                 self.method);
    return false;
  }
  const int eof = IsTrue(self.reader, Names().eof);
  if (eof != 0) {
    if (eof > 0) PyErr_SetString(PyExc_AssertionError, "_wait_for_data after EOF");
    return false;
  }
  // Whoever waits while the transport is paused waits for ever.
  const int paused = IsTrue(self.reader, Names().paused);
  if (paused < 0 || (paused > 0 && !ResumeTransport(self.reader))) return false;
  const Owned loop(PyObject_GetAttr(self.reader, Names().loop));
  const Owned waiter(loop ? PyObject_CallMethodNoArgs(loop.get(), Names().create_future) : nullptr);
  Owned iterator = waiter ? IteratorOf(waiter.get()) : Owned();
  if (!iterator || PyObject_SetAttr(self.reader, Names().waiter, waiter.get()) != 0) return false;
  self.waiting = iterator.release();
  return true;
}

// The end of waiting, with or without an exception.
bool EndWaiting(const Gil& gil, ReadObject& self) {
  const Owned iterator(std::exchange(self.waiting, nullptr));
  const bool failed = PyErr_Occurred() != nullptr;
  const Owned exception = failed ? interp::TakeException(gil) : Owned();
  const bool done = PyObject_SetAttr(self.reader, Names().waiter, Py_None) == 0;
  if (done && failed) interp::RaiseException(gil, exception.get());
  return done && !failed;
}

// Null without an exception: it has to wait.
Owned TakeAtOnce(const Gil& gil, ReadObject& self) {
  const Owned exception(PyObject_GetAttr(self.reader, Names().exception_field));
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
  const Owned buffer = BufferOf(self.reader);
  if (!buffer) return Owned();
  if (PyByteArray_GET_SIZE(buffer.get()) == 0) {
    const int eof = IsTrue(self.reader, Names().eof);
    if (eof <= 0) return Owned();
  }
  return Take(gil, self.reader, self.limit);
}

// As in every coroutine (PEP 479), or it would look like its end.
void HideStopIteration(const Gil& gil) {
  if (PyErr_ExceptionMatches(PyExc_StopIteration) == 0) return;
  Owned cause = interp::TakeException(gil);
  PyErr_SetString(PyExc_RuntimeError, "coroutine raised StopIteration");
  const Owned error = interp::TakeException(gil);
  PyException_SetContext(error.get(), Owned::NewRef(cause.get()).release());
  PyException_SetCause(error.get(), cause.release());
  interp::RaiseException(gil, error.get());
}

PySendResult ResultOf(const Gil& gil, ReadObject& self, Owned value, PyObject** result) {
  self.ended = true;
  *result = value.release();
  if (*result != nullptr) return PYGEN_RETURN;
  HideStopIteration(gil);
  return PYGEN_ERROR;
}

// What the waiter's iterator answered: `sent`, with `value`.
PySendResult Answered(const Gil& gil, ReadObject& self, PySendResult sent, Owned value,
                      PyObject** result) {
  if (sent == PYGEN_NEXT) {
    *result = value.release();
    return PYGEN_NEXT;
  }
  if (!EndWaiting(gil, self)) return ResultOf(gil, self, Owned(), result);
  if (self.limit == 0) return ResultOf(gil, self, Owned::NewRef(Py_None), result);
  return ResultOf(gil, self, Take(gil, self.reader, self.limit), result);
}

PySendResult Drive(const Gil& gil, ReadObject& self, PyObject* argument, PyObject** result) {
  if (self.waiting == nullptr) {
    self.started = true;
    Owned data = self.limit > 0 ? TakeAtOnce(gil, self) : Owned();
    const bool waits = !data && PyErr_Occurred() == nullptr;
    if (!waits || !BeginToWait(self)) return ResultOf(gil, self, std::move(data), result);
  }
  const Owned iterator = Owned::NewRef(self.waiting);
  PyObject* value = nullptr;
  const PySendResult sent = PyIter_Send(iterator.get(), argument, &value);
  return Answered(gil, self, sent, Owned(value), result);
}

// False with an exception set: nothing can be sent or thrown into it now.
bool MayRun(const ReadObject& self) {
  if (self.running) {
    PyErr_SetString(PyExc_ValueError, "coroutine already executing");
  } else if (self.ended) {
    PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
  }
  return !self.running && !self.ended;
}

PySendResult Send(PyObject* object, PyObject* argument, PyObject** result) {
  ReadObject& self = From(object);
  *result = nullptr;
  if (!MayRun(self)) return PYGEN_ERROR;
  if (!self.started && argument != Py_None) {
    PyErr_SetString(PyExc_TypeError, "can't send non-None value to a just-started coroutine");
    return PYGEN_ERROR;
  }
  self.running = true;
  const PySendResult sent = Drive(Gil::FromPython(), self, argument, result);
  self.running = false;
  return sent;
}

// A result as what next() and send() of an iterator give.
PyObject* AsIterator(PySendResult sent, PyObject* value) {
  if (sent != PYGEN_RETURN) return value;
  const Owned owned(value);
  const Owned stop(PyObject_CallOneArg(PyExc_StopIteration, value));
  if (stop) PyErr_SetObject(PyExc_StopIteration, stop.get());
  return nullptr;
}

PyObject* SendMethod(PyObject* self, PyObject* argument) {
  PyObject* value = nullptr;
  const PySendResult sent = Send(self, argument, &value);
  return AsIterator(sent, value);
}

PyObject* Next(PyObject* self) { return SendMethod(self, Py_None); }

// Raises what throw(type[, value[, traceback]]) was called with.
void RaiseThrown(PyObject* const* args, Py_ssize_t count) {
  PyObject* type = args[0];
  PyObject* value = count > 1 && args[1] != Py_None ? args[1] : nullptr;
  if (PyExceptionInstance_Check(type)) {
    PyErr_SetObject(PyExceptionInstance_Class(type), type);
  } else if (PyExceptionClass_Check(type)) {
    PyErr_SetObject(type, value);
  } else {
    PyErr_Format(PyExc_TypeError,
                 "exceptions must be classes or instances deriving from BaseException, not %.100s",
                 Py_TYPE(type)->tp_name);
  }
}

PySendResult Throw(const Gil& gil, ReadObject& self, PyObject* const* args, Py_ssize_t count,
                   PyObject** result) {
  self.started = true;
  if (self.waiting == nullptr) {
    RaiseThrown(args, count);
    return ResultOf(gil, self, Owned(), result);
  }
  const Owned iterator = Owned::NewRef(self.waiting);
  const Owned method(PyObject_GetAttr(iterator.get(), Names().throw_method));
  if (!method) {  // as `await`: then it is raised here
    PyErr_Clear();
    RaiseThrown(args, count);
    return Answered(gil, self, PYGEN_ERROR, Owned(), result);
  }
  Owned value(PyObject_Vectorcall(method.get(), args, static_cast<std::size_t>(count), nullptr));
  if (value) return Answered(gil, self, PYGEN_NEXT, std::move(value), result);
  if (PyErr_ExceptionMatches(PyExc_StopIteration) == 0) {
    return Answered(gil, self, PYGEN_ERROR, Owned(), result);
  }
  PyErr_Clear();
  return Answered(gil, self, PYGEN_RETURN, Owned(), result);
}

PyObject* ThrowMethod(PyObject* object, PyObject* const* args, Py_ssize_t count) {
  ReadObject& self = From(object);
  if (count < 1 || count > 3) {
    return PyErr_Format(PyExc_TypeError, "throw() takes 1 to 3 arguments (%zd given)", count);
  }
  if (!MayRun(self)) return nullptr;
  self.running = true;
  PyObject* value = nullptr;
  const PySendResult sent = Throw(Gil::FromPython(), self, args, count, &value);
  self.running = false;
  return AsIterator(sent, value);
}

PyObject* Close(PyObject* object, PyObject*) {
  ReadObject& self = From(object);
  if (self.running) {
    PyErr_SetString(PyExc_ValueError, "coroutine already executing");
    return nullptr;
  }
  self.started = true;
  self.ended = true;
  if (self.waiting != nullptr && !EndWaiting(Gil::FromPython(), self)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* Await(PyObject* self) { return Owned::NewRef(self).release(); }

const char* NameOf(PyObject* self) { return From(self).limit > 0 ? "read" : "_wait_for_data"; }

PyObject* GetName(PyObject* self, void*) { return PyUnicode_FromString(NameOf(self)); }

PyObject* GetQualifiedName(PyObject* self, void*) {
  return PyUnicode_FromFormat("StreamReader.%s", NameOf(self));
}

PyObject* GetRunning(PyObject* self, void*) { return PyBool_FromLong(From(self).running ? 1 : 0); }

int Traverse(PyObject* object, visitproc visit, void* arg) {
  const ReadObject& self = From(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self.reader);
  Py_VISIT(self.method);
  Py_VISIT(self.waiting);
  return 0;
}

void Finalize(PyObject* object) {
  const ReadObject& self = From(object);
  if (self.ended) return;
  const Gil gil = Gil::FromPython();
  const bool failed = PyErr_Occurred() != nullptr;
  const Owned exception = failed ? interp::TakeException(gil) : Owned();
  if (!self.started) {
    const Owned name(GetQualifiedName(object, nullptr));
    if (!name || PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "coroutine '%U' was never awaited",
                                  name.get()) != 0) {
      interp::ReportUnraisable(gil, object);
    }
  }
  const Owned closed(Close(object, nullptr));
  if (!closed) interp::ReportUnraisable(gil, object);
  if (failed) interp::RaiseException(gil, exception.get());
}

void Dealloc(PyObject* object) {
  if (PyObject_CallFinalizerFromDealloc(object) != 0) return;
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  ReadObject& self = From(object);
  if (self.weak_references != nullptr) PyObject_ClearWeakRefs(object);
  Py_CLEAR(self.waiting);
  Py_CLEAR(self.reader);
  Py_CLEAR(self.method);
  type->tp_free(object);
  Py_DECREF(type);
}

PyMethodDef methods[] = {
    {"send", SendMethod, METH_O, "Goes on; StopIteration has the result."},
    {"throw", interp::AsMethod(ThrowMethod), METH_FASTCALL, "Raises an exception where it waits."},
    {"close", Close, METH_NOARGS, "Gives up."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef getset[] = {
    {"__name__", GetName, nullptr, nullptr, nullptr},
    {"__qualname__", GetQualifiedName, nullptr, nullptr, nullptr},
    {"cr_running", GetRunning, nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

// No cr_await: whoever follows the chain of coroutines by it asks each for its frame.
PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(ReadObject, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(Dealloc)},
    {Py_tp_finalize, reinterpret_cast<void*>(Finalize)},
    {Py_tp_traverse, reinterpret_cast<void*>(Traverse)},
    {Py_tp_iter, reinterpret_cast<void*>(Await)},  // `yield from` takes a coroutine, too
    {Py_tp_iternext, reinterpret_cast<void*>(Next)},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_tp_getset, getset},
    {Py_am_await, reinterpret_cast<void*>(Await)},
    {Py_am_send, reinterpret_cast<void*>(Send)},
    {0, nullptr},
};

PyType_Spec spec = {"_coloop.StreamRead", sizeof(ReadObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                    slots};

PyObject* New(PyObject* reader, PyObject* method, long limit) {
  auto* object = PyObject_GC_New(ReadObject, state->type);
  if (object == nullptr) return nullptr;
  object->reader = Owned::NewRef(reader).release();
  object->method = Owned::NewRef(method).release();
  object->waiting = nullptr;
  object->weak_references = nullptr;
  object->limit = limit;
  object->started = object->running = object->ended = false;
  PyObject_GC_Track(reinterpret_cast<PyObject*>(object));
  return reinterpret_cast<PyObject*>(object);
}

}  // namespace

bool InitStreamRead(const Gil&) {
  state->type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  state->read = PyUnicode_InternFromString("read");
  return state->type != nullptr && state->read != nullptr;
}

PyObject* NewStreamRead(const Gil&, PyObject* reader, long limit) {
  return New(reader, state->read, limit);
}

PyObject* NewStreamWait(const Gil&, PyObject* reader, PyObject* method) {
  return New(reader, method, 0);
}

bool MaybeResumeTransport(const Gil&, PyObject* reader) {
  const int paused = IsTrue(reader, Names().paused);
  if (paused <= 0) return paused == 0;
  const Owned buffer(PyObject_GetAttr(reader, Names().buffer));
  const Owned limit(buffer ? PyObject_GetAttr(reader, Names().limit) : nullptr);
  const Py_ssize_t size = limit ? PyObject_Size(buffer.get()) : -1;
  const Owned length(size >= 0 ? PyLong_FromSsize_t(size) : nullptr);
  if (!length) return false;
  const int fits = PyObject_RichCompareBool(length.get(), limit.get(), Py_LE);
  if (fits < 0) return false;
  return fits == 0 || ResumeTransport(reader);
}

}  // namespace coloop::io
