// The Python type `_coloop.Loop`, the native base of ErlangEventLoop.
#include <Python.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "interp/arguments.h"
#include "interp/gil.h"
#include "interp/method.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"
#include "loop/channel.h"
#include "loop/handle.h"
#include "loop/host.h"
#include "loop/hosted.h"
#include "loop/loop.h"
#include "loop/own_time.h"
#include "loop/running.h"
#include "loop/task.h"

namespace coloop::loop {

using interp::AsMethod;
using interp::Gil;
using interp::Owned;
using interp::Signature;

namespace {

struct LoopObject {
  PyObject_HEAD Loop* loop;
};

struct LoopState {
  PyTypeObject* type = nullptr;
  PyObject* context_name = nullptr;
  PyObject* future_class = nullptr;
  PyObject* no_arguments = nullptr;
};
interp::PerInterpreter<LoopState> state;

Loop& Get(PyObject* self) { return *reinterpret_cast<LoopObject*>(self)->loop; }

bool CheckOpen(Loop& loop) {
  if (!loop.closed) return true;
  PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
  return false;
}

// asyncio's checks of debug mode.
bool CheckDebug(PyObject* self, PyObject* callback, const char* method, bool check_thread) {
  if (!Get(self).debug) return true;
  if (check_thread) {
    const Owned thread(PyObject_CallMethod(self, "_check_thread", nullptr));
    if (!thread) return false;
  }
  const Owned checked(PyObject_CallMethod(self, "_check_callback", "Os", callback, method));
  return static_cast<bool>(checked);
}

// The arguments of call_soon and the others of its kind.
struct Call {
  PyObject* when = nullptr;
  PyObject* callback = nullptr;
  PyObject* const* args = nullptr;  // of the callback
  std::size_t count = 0;
  PyObject* context = nullptr;  // null: a copy of the current one
};

constexpr Signature kCallSoon{"call_soon", 1, {"callback", "context", nullptr}};
constexpr Signature kCallSoonThreadsafe{
    "call_soon_threadsafe", 1, {"callback", "context", nullptr}};
constexpr Signature kCallLater{"call_later", 2, {"delay", "callback", "context"}};
constexpr Signature kCallAt{"call_at", 2, {"when", "callback", "context"}};

// False with an exception set.
bool ReadNames(const Signature& signature, PyObject* const* args, Py_ssize_t count, PyObject* names,
               Call* call) {
  interp::Bound bound{};
  if (!interp::Bind(signature, args, count, names, &bound)) return false;
  call->when = bound[0];
  call->callback = bound[signature.required - 1];
  call->context = bound[signature.required];
  return true;
}

// False with an exception set.
bool ReadCall(const Signature& signature, PyObject* const* args, Py_ssize_t count, PyObject* names,
              Call* call) {
  const auto required = static_cast<Py_ssize_t>(signature.required);
  const Py_ssize_t leading = std::min(count, required);
  call->args = args + leading;
  call->count = static_cast<std::size_t>(count - leading);
  const bool in_place = leading == required;
  if (in_place) {
    call->when = args[0];
    call->callback = args[required - 1];
  }
  // Futures and Tasks name the context, with the interned name.
  if (in_place && names != nullptr && PyTuple_GET_SIZE(names) == 1 &&
      PyTuple_GET_ITEM(names, 0) == state->context_name) {
    call->context = args[count];
  } else if (!in_place || names != nullptr) {
    if (!ReadNames(signature, args, count, names, call)) return false;
  }
  if (call->context == Py_None) call->context = nullptr;
  return true;
}

PyObject* CallSoon(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  const Gil gil = Gil::FromPython();
  Loop& loop = Get(self);
  Call call;
  if (!CheckOpen(loop) || !ReadCall(kCallSoon, args, count, names, &call) ||
      !CheckDebug(self, call.callback, "call_soon", true)) {
    return nullptr;
  }
  if (call.count == 1 && IsSettler(call.callback) && !loop.debug) {
    PrepareSettler(call.callback, call.args[0]);
    loop.CallSoon(Owned::NewRef(call.callback));
    Py_RETURN_NONE;  // only a Task or a Future calls with it, and they drop the handle
  }
  Owned handle = MakeHandle(gil, loop, call.callback, call.args, call.count, call.context);
  if (!handle) return nullptr;
  loop.CallSoon(Owned::NewRef(handle.get()));
  return handle.release();
}

PyObject* CallSoonThreadsafe(PyObject* self, PyObject* const* args, Py_ssize_t count,
                             PyObject* names) {
  const Gil gil = Gil::FromPython();
  Loop& loop = Get(self);
  Call call;
  if (!CheckOpen(loop) || !ReadCall(kCallSoonThreadsafe, args, count, names, &call) ||
      !CheckDebug(self, call.callback, "call_soon_threadsafe", false)) {
    return nullptr;
  }
  Owned handle = MakeHandle(gil, loop, call.callback, call.args, call.count, call.context);
  if (!handle) return nullptr;
  loop.CallSoonThreadsafe(gil, Owned::NewRef(handle.get()));
  return handle.release();
}

PyObject* ScheduleAt(PyObject* self, double when, const Call& call) {
  const Gil gil = Gil::FromPython();
  Loop& loop = Get(self);
  // asyncio's call_later() calls call_at(), which checks.
  if (!CheckOpen(loop) || !CheckDebug(self, call.callback, "call_at", true)) return nullptr;
  if (std::isnan(when)) {
    PyErr_SetString(PyExc_ValueError, "the time of a timer must not be NaN");
    return nullptr;
  }
  Owned handle =
      MakeTimerHandle(gil, when, loop, call.callback, call.args, call.count, call.context);
  if (!handle) return nullptr;
  loop.CallAt(when, Owned::NewRef(handle.get()));
  return handle.release();
}

PyObject* CallTimer(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names,
                    const Signature& signature, bool relative) {
  Call call;
  if (!ReadCall(signature, args, count, names, &call)) return nullptr;
  if (call.when == Py_None) {
    PyErr_Format(PyExc_TypeError, "%s must not be None", signature.names[0]);
    return nullptr;
  }
  const double value =
      PyLong_CheckExact(call.when) ? PyLong_AsDouble(call.when) : PyFloat_AsDouble(call.when);
  if (value == -1.0 && PyErr_Occurred() != nullptr) return nullptr;
  double base = 0;
  if (relative && !Get(self).TimerNow(Gil::FromPython(), &base)) return nullptr;
  return ScheduleAt(self, base + value, call);
}

PyObject* CallLater(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  return CallTimer(self, args, count, names, kCallLater, true);
}

PyObject* CallAt(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  return CallTimer(self, args, count, names, kCallAt, false);
}

PyObject* RaiseNoHandle(PyObject* object) {
  return PyErr_Format(PyExc_TypeError, "a Handle is required, not %R", object);
}

PyObject* TimerHandleCancelled(PyObject* self, PyObject* handle) {
  if (!IsAnyTimerHandle(handle)) return RaiseNoHandle(handle);
  if (IsTimerHandle(handle) && IsScheduled(handle)) Get(self).TimerCancelled(handle);
  Py_RETURN_NONE;
}

PyObject* Time(PyObject*, PyObject*) { return PyFloat_FromDouble(Loop::Now()); }

PyObject* GetDebug(PyObject* self, PyObject*) { return PyBool_FromLong(Get(self).debug ? 1 : 0); }
PyObject* IsClosed(PyObject* self, PyObject*) { return PyBool_FromLong(Get(self).closed ? 1 : 0); }
PyObject* IsRunning(PyObject* self, PyObject*) {
  return PyBool_FromLong(Get(self).thread_id != 0 || Get(self).RunsElsewhere() ? 1 : 0);
}

PyObject* CheckClosed(PyObject* self, PyObject*) {
  if (!CheckOpen(Get(self))) return nullptr;
  Py_RETURN_NONE;
}

PyObject* CreateFuture(PyObject* self, PyObject*) {
  if (state->future_class == nullptr) {
    const Owned futures(PyImport_ImportModule("asyncio.futures"));
    state->future_class = futures ? PyObject_GetAttrString(futures.get(), "Future") : nullptr;
    state->no_arguments = PyTuple_New(0);
    if (state->future_class == nullptr || state->no_arguments == nullptr) return nullptr;
  }
  // As a call with loop=self would, but for its arguments, which are made once.
  Owned& keywords = Get(self).future_keywords;
  if (!keywords) keywords = Owned(Py_BuildValue("{sO}", "loop", self));
  if (!keywords) return nullptr;
  auto* type = reinterpret_cast<PyTypeObject*>(state->future_class);
  PyObject* none = state->no_arguments;
  if (!PyType_CheckExact(type)) return PyObject_Call(state->future_class, none, keywords.get());
  Owned future(type->tp_new(type, none, keywords.get()));
  if (!future || PyObject_TypeCheck(future.get(), type) == 0) return future.release();
  return type->tp_init(future.get(), none, keywords.get()) == 0 ? future.release() : nullptr;
}

// Python's half has said so already to whoever asked politely.
bool CheckOwned(const Loop& loop) {
  const char* obstacle = loop.ObstacleToRun();
  if (obstacle != nullptr) PyErr_SetString(PyExc_RuntimeError, obstacle);
  return obstacle == nullptr;
}

PyObject* RunOnce(PyObject* self, PyObject*) {
  if (!CheckOpen(Get(self)) || !CheckOwned(Get(self)) ||
      !Get(self).RunUntilStopped(Gil::FromPython()))
    return nullptr;
  Py_RETURN_NONE;
}

PyObject* WriteToSelf(PyObject* self, PyObject*) {
  Get(self).Wake();
  Py_RETURN_NONE;
}

PyObject* AddCallback(PyObject* self, PyObject* handle) {
  if (!IsHandle(handle)) return RaiseNoHandle(handle);
  if (!IsCancelled(handle)) Get(self).CallSoon(Owned::NewRef(handle));
  Py_RETURN_NONE;
}

PyObject* Open(PyObject* self, PyObject*) {
  const Gil gil = Gil::FromPython();
  if (!InitHandles(gil) || !InitRunning(gil)) return nullptr;
  if (Get(self).opened()) {
    PyErr_SetString(PyExc_RuntimeError, "the loop is open");
    return nullptr;
  }
  if (!OpenOnHost(Get(self), self)) return PyErr_SetFromErrno(PyExc_OSError);
  Py_RETURN_NONE;
}

PyObject* CloseNative(PyObject* self, PyObject*) {
  if (!CheckOwned(Get(self))) return nullptr;
  if (Get(self).opened()) Get(self).Close(Gil::FromPython(), nullptr, nullptr);
  Py_RETURN_NONE;
}

// The arguments (fd, writer, …) of the three functions below. False with an exception set.
bool ReadWatch(PyObject* const* args, Py_ssize_t count, Py_ssize_t wanted, int* fd, bool* writer) {
  if (count != wanted) {
    PyErr_SetString(PyExc_TypeError, "wrong number of arguments");
    return false;
  }
  const long number = PyLong_AsLong(args[0]);
  if (number == -1 && PyErr_Occurred() != nullptr) return false;
  *fd = static_cast<int>(number);
  *writer = args[1] == Py_True;
  if (*fd == number) return true;
  PyErr_Format(PyExc_OverflowError, "%ld is too large for a descriptor", number);
  return false;
}

PyObject* OrNone(Owned object) {
  return object ? object.release() : Owned::NewRef(Py_None).release();
}

// _watch(fd, writer, handle) -> the handle that was there before, or None
PyObject* Watch(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  int fd = -1;
  bool writer = false;
  if (!ReadWatch(args, count, 3, &fd, &writer) || !CheckOpen(Get(self))) return nullptr;
  if (!IsHandle(args[2])) return RaiseNoHandle(args[2]);
  Owned previous;
  if (!Get(self).Watch(fd, writer, Owned::NewRef(args[2]), &previous)) {
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  return OrNone(std::move(previous));
}

PyObject* Unwatch(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  int fd = -1;
  bool writer = false;
  if (!ReadWatch(args, count, 2, &fd, &writer)) return nullptr;
  return OrNone(Get(self).Unwatch(fd, writer));
}

PyObject* Watched(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  int fd = -1;
  bool writer = false;
  if (!ReadWatch(args, count, 2, &fd, &writer)) return nullptr;
  return PyBool_FromLong(Get(self).Watched(fd, writer) ? 1 : 0);
}

// _channel(fd) -> the transport or acceptor that serves it, or None
PyObject* ChannelOf(PyObject* self, PyObject* number) {
  const long fd = PyLong_AsLong(number);
  if (fd == -1 && PyErr_Occurred() != nullptr) return nullptr;
  const Channel* channel = Get(self).FindChannel(static_cast<int>(fd));
  return Owned::NewRef(channel != nullptr ? channel->object() : Py_None).release();
}

PyObject* Metrics(PyObject* self, PyObject*) {
  return Get(self).Metrics(Gil::FromPython()).release();
}

PyObject* Ref(PyObject* self, PyObject*) {
  Get(self).Ref();
  Py_RETURN_NONE;
}

PyObject* Unref(PyObject* self, PyObject*) {
  if (Get(self).references() == 0) {
    PyErr_SetString(PyExc_RuntimeError, "_unref() without a _ref()");
    return nullptr;
  }
  Get(self).Unref();
  Py_RETURN_NONE;
}

PyMethodDef methods[] = {
    {"call_soon", AsMethod(CallSoon), METH_FASTCALL | METH_KEYWORDS, nullptr},
    {"call_soon_threadsafe", AsMethod(CallSoonThreadsafe), METH_FASTCALL | METH_KEYWORDS, nullptr},
    {"call_later", AsMethod(CallLater), METH_FASTCALL | METH_KEYWORDS, nullptr},
    {"call_at", AsMethod(CallAt), METH_FASTCALL | METH_KEYWORDS, nullptr},
    {"time", Time, METH_NOARGS, nullptr},
    {"_timer_handle_cancelled", TimerHandleCancelled, METH_O, nullptr},
    {"get_debug", GetDebug, METH_NOARGS, nullptr},
    {"is_closed", IsClosed, METH_NOARGS, nullptr},
    {"is_running", IsRunning, METH_NOARGS, nullptr},
    {"create_future", CreateFuture, METH_NOARGS, nullptr},
    {"_check_closed", CheckClosed, METH_NOARGS, nullptr},
    {"_run_once", RunOnce, METH_NOARGS, "Runs iterations until the loop is stopped."},
    {"_write_to_self", WriteToSelf, METH_NOARGS, nullptr},
    {"_add_callback", AddCallback, METH_O, nullptr},
    {"_open", Open, METH_NOARGS, "Opens the native half."},
    {"_close_native", CloseNative, METH_NOARGS, "Closes the native half of an owned loop."},
    {"_watch", AsMethod(Watch), METH_FASTCALL, "Watches a descriptor; the handle before, or None."},
    {"_unwatch", AsMethod(Unwatch), METH_FASTCALL, "Ends a watch; its handle, or None."},
    {"_watched", AsMethod(Watched), METH_FASTCALL, "Whether a descriptor is watched."},
    {"_channel", ChannelOf, METH_O, "What serves a descriptor, or None."},
    {"_metrics", Metrics, METH_NOARGS, "The numbers of metrics() that are native, as a dict."},
    {"_ref", Ref, METH_NOARGS, "Work in flight keeps the host alive."},
    {"_unref", Unref, METH_NOARGS, "Undoes one _ref."},
    {nullptr, nullptr, 0, nullptr},
};

template <bool Loop::* Field>
PyObject* GetFlag(PyObject* self, void*) {
  return PyBool_FromLong(Get(self).*Field ? 1 : 0);
}

template <bool Loop::* Field>
int SetFlag(PyObject* self, PyObject* value, void*) {
  const int truth = value != nullptr ? PyObject_IsTrue(value) : -1;
  if (truth < 0) return -1;
  Get(self).*Field = truth != 0;
  return 0;
}

// stop(). On another thread than the loop's it is not for asyncio to say when it takes effect; here
// it is at once.
int SetStopping(PyObject* self, PyObject* value, void* closure) {
  const int result = SetFlag<&Loop::stopping>(self, value, closure);
  if (Get(self).stopping) Get(self).WakeIfWaiting();
  return result;
}

// BaseEventLoop.__init__ says that the loop is not closed before there is a native half, which
// alone can say so.
int SetClosed(PyObject* self, PyObject* value, void* closure) {
  if (!CheckOwned(Get(self))) return -1;
  const int result = SetFlag<&Loop::closed>(self, value, closure);
  if (!Get(self).opened()) Get(self).closed = true;
  return result;
}

PyObject* GetThread(PyObject* self, void*) {
  const std::uint64_t id = Get(self).thread_id;
  if (id == 0) Py_RETURN_NONE;
  return PyLong_FromUnsignedLongLong(id);
}

int SetThread(PyObject* self, PyObject* value, void*) {
  std::uint64_t id = 0;
  if (value != nullptr && value != Py_None) {
    id = PyLong_AsUnsignedLongLong(value);
    if (PyErr_Occurred() != nullptr) return -1;
  }
  Get(self).thread_id = id;
  return 0;
}

PyObject* GetHosted(PyObject* self, void*) { return PyBool_FromLong(Get(self).hosted() ? 1 : 0); }

// Data descriptors: they win over the instance's dict, so that inherited code writes native fields.
PyGetSetDef getset[] = {
    {"_stopping", GetFlag<&Loop::stopping>, SetStopping, nullptr, nullptr},
    {"_closed", GetFlag<&Loop::closed>, SetClosed, nullptr, nullptr},
    {"_debug", GetFlag<&Loop::debug>, SetFlag<&Loop::debug>, nullptr, nullptr},
    {"_starting_task", GetFlag<&Loop::starting_task>, nullptr, nullptr, nullptr},
    {"_thread_id", GetThread, SetThread, nullptr, nullptr},
    {"_hosted", GetHosted, nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyObject* New(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  reinterpret_cast<LoopObject*>(self)->loop = new Loop;
  FindOwnTime(self, Get(self), false);
  return self;
}

int Traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  const Loop* loop = reinterpret_cast<LoopObject*>(self)->loop;
  return loop != nullptr ? loop->Traverse(visit, arg) : 0;
}

int Clear(PyObject* self) {
  Loop* loop = reinterpret_cast<LoopObject*>(self)->loop;
  if (loop != nullptr) loop->Clear(Gil::FromPython());
  return 0;
}

void Dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  Loop* loop = std::exchange(reinterpret_cast<LoopObject*>(self)->loop, nullptr);
  if (loop != nullptr) {
    loop->Abandon(Gil::FromPython());
    delete loop;
  }
  type->tp_free(self);
  Py_DECREF(type);
}

PyType_Slot slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(New)},
    {Py_tp_dealloc, reinterpret_cast<void*>(Dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(Traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(Clear)},
    {Py_tp_setattro, reinterpret_cast<void*>(SetLoopAttribute)},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {0, nullptr},
};

PyType_Spec spec = {"_coloop.Loop", sizeof(LoopObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};

}  // namespace

Loop* Loop::From(const Gil&, PyObject* object) {
  return PyObject_TypeCheck(object, state->type) != 0 ? &Get(object) : nullptr;
}

bool AddToModule(const Gil& gil, PyObject* module) {
  state->type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  state->context_name = PyUnicode_InternFromString("context");
  return state->context_name != nullptr && state->type != nullptr &&
         InitOwnTime(gil, reinterpret_cast<PyObject*>(state->type)) && AddTaskTypes(gil) &&
         PyModule_AddType(module, state->type) == 0 &&
         PyModule_AddFunctions(module, hosted_functions) == 0;
}

}  // namespace coloop::loop
