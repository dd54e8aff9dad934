#include "io/stream_coroutine.h"

#include <Python.h>
#include <structmember.h>

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

struct Coroutine {
  PyObject_HEAD PyObject* weak_references;
  const CoroutineSteps* steps;
  CoroutineState state;
  bool started;
  bool running;
  bool ended;
};

struct TypeState {
  PyTypeObject* type = nullptr;
};
interp::PerInterpreter<TypeState> types;

Coroutine& From(PyObject* self) { return *reinterpret_cast<Coroutine*>(self); }

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

PySendResult ResultOf(const Gil& gil, Coroutine& self, Owned value, PyObject** result) {
  self.ended = true;
  *result = value.release();
  if (*result != nullptr) return PYGEN_RETURN;
  HideStopIteration(gil);
  return PYGEN_ERROR;
}

// What the iterator that it waits for answered: `sent`, with `value`.
PySendResult Answered(const Gil& gil, Coroutine& self, PySendResult sent, Owned value,
                      PyObject** result) {
  if (sent == PYGEN_NEXT) {
    *result = value.release();
    return PYGEN_NEXT;
  }
  return ResultOf(gil, self, self.steps->end(gil, self.state, std::move(value)), result);
}

PySendResult Drive(const Gil& gil, Coroutine& self, PyObject* argument, PyObject** result) {
  if (!self.state.waiting) {
    self.started = true;
    Owned value = self.steps->begin(gil, self.state);
    if (!self.state.waiting) return ResultOf(gil, self, std::move(value), result);
  }
  const Owned iterator = Owned::NewRef(self.state.waiting.get());
  PyObject* value = nullptr;
  const PySendResult sent = PyIter_Send(iterator.get(), argument, &value);
  return Answered(gil, self, sent, Owned(value), result);
}

// False with an exception set: nothing can be sent or thrown into it now.
bool MayRun(const Coroutine& self) {
  if (self.running) {
    PyErr_SetString(PyExc_ValueError, "coroutine already executing");
  } else if (self.ended) {
    PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
  }
  return !self.running && !self.ended;
}

PySendResult Send(PyObject* object, PyObject* argument, PyObject** result) {
  Coroutine& self = From(object);
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
  if (value == Py_None) {
    PyErr_SetNone(PyExc_StopIteration);
    return nullptr;
  }
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

PySendResult Throw(const Gil& gil, Coroutine& self, PyObject* const* args, Py_ssize_t count,
                   PyObject** result) {
  self.started = true;
  if (!self.state.waiting) {
    RaiseThrown(args, count);
    return ResultOf(gil, self, Owned(), result);
  }
  const Owned iterator = Owned::NewRef(self.state.waiting.get());
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
  const Owned stop = interp::TakeException(gil);
  Owned returned(PyObject_GetAttrString(stop.get(), "value"));
  if (!returned) return ResultOf(gil, self, Owned(), result);
  return Answered(gil, self, PYGEN_RETURN, std::move(returned), result);
}

PyObject* ThrowMethod(PyObject* object, PyObject* const* args, Py_ssize_t count) {
  Coroutine& self = From(object);
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
  Coroutine& self = From(object);
  if (self.running) {
    PyErr_SetString(PyExc_ValueError, "coroutine already executing");
    return nullptr;
  }
  self.started = true;
  self.ended = true;
  if (self.state.waiting && !self.steps->give_up(Gil::FromPython(), self.state)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* Await(PyObject* self) { return Owned::NewRef(self).release(); }

PyObject* GetName(PyObject* self, void*) { return PyUnicode_FromString(From(self).steps->name); }

PyObject* GetQualifiedName(PyObject* self, void*) {
  return PyUnicode_FromString(From(self).steps->qualified_name);
}

PyObject* GetRunning(PyObject* self, void*) { return PyBool_FromLong(From(self).running ? 1 : 0); }

int Traverse(PyObject* object, visitproc visit, void* arg) {
  const CoroutineState& state = From(object).state;
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(state.owner.get());
  Py_VISIT(state.method.get());
  Py_VISIT(state.waiting.get());
  return 0;
}

void Finalize(PyObject* object) {
  const Coroutine& self = From(object);
  if (self.ended) return;
  const Gil gil = Gil::FromPython();
  const bool failed = PyErr_Occurred() != nullptr;
  const Owned exception = failed ? interp::TakeException(gil) : Owned();
  if (!self.started && PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "coroutine '%s' was never awaited",
                                        self.steps->qualified_name) != 0) {
    interp::ReportUnraisable(gil, object);
  }
  const Owned closed(Close(object, nullptr));
  if (!closed) interp::ReportUnraisable(gil, object);
  if (failed) interp::RaiseException(gil, exception.get());
}

void Dealloc(PyObject* object) {
  if (PyObject_CallFinalizerFromDealloc(object) != 0) return;
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  Coroutine& self = From(object);
  if (self.weak_references != nullptr) PyObject_ClearWeakRefs(object);
  self.state.~CoroutineState();
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
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Coroutine, weak_references), READONLY, nullptr},
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

PyType_Spec spec = {"_coloop.StreamCoroutine", sizeof(Coroutine), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                    slots};

}  // namespace

Owned IteratorOf(PyObject* awaitable) {
  const PyAsyncMethods* async = Py_TYPE(awaitable)->tp_as_async;
  if (async == nullptr || async->am_await == nullptr) {
    PyErr_Format(PyExc_TypeError, "object %.100s can't be used in 'await' expression",
                 Py_TYPE(awaitable)->tp_name);
    return Owned();
  }
  return Owned(async->am_await(awaitable));
}

Owned BeginDelegated(CoroutineState& state, const Owned& coroutine) {
  if (coroutine) state.waiting = IteratorOf(coroutine.get());
  return Owned();
}

Owned EndDelegated(const Gil&, CoroutineState& state, Owned value) {
  state.waiting.reset();
  return value;
}

bool GiveUpDelegated(const Gil&, CoroutineState& state) {
  const Owned waiting = std::move(state.waiting);
  const Owned closed(PyObject_CallMethodNoArgs(waiting.get(), Names().close));
  return static_cast<bool>(closed);
}

bool TracksOrigins() { return PyThreadState_Get()->coroutine_origin_tracking_depth > 0; }

bool InitStreamCoroutine(const Gil&) {
  types->type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return types->type != nullptr;
}

PyObject* NewCoroutine(const Gil&, const CoroutineSteps& steps, CoroutineState state) {
  auto* object = PyObject_GC_New(Coroutine, types->type);
  if (object == nullptr) return nullptr;
  object->weak_references = nullptr;
  object->steps = &steps;
  new (&object->state) CoroutineState(std::move(state));
  object->started = object->running = object->ended = false;
  PyObject_GC_Track(reinterpret_cast<PyObject*>(object));
  return reinterpret_cast<PyObject*>(object);
}

}  // namespace coloop::io
