// Making and running handles.
#include "loop/handle.h"

#include <Python.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "interp/gil.h"
#include "interp/ref.h"
#include "loop/context.h"
#include "loop/handle_layout.h"
#include "loop/loop.h"

namespace coloop::loop {

using interp::Owned;

bool IsOurs(PyObject* object) { return Py_TYPE(object)->tp_dealloc == DeallocHandle; }

HandleKind& KindOf(PyObject* handle) {
  return Py_TYPE(handle) == handles->timer.type ? handles->timer : handles->plain;
}

bool UnlinkFresh(HandleExtra& extra) {
  const HandleLink link = std::exchange(extra.fresh, {});
  if (link.next == nullptr) return false;
  link.next->previous = link.previous;
  link.previous->next = link.next;
  return true;
}

namespace {

void LinkFresh(HandleKind& kind, HandleExtra& extra) {
  extra.fresh = {&kind.fresh, kind.fresh.previous};
  kind.fresh.previous->next = &extra.fresh;
  kind.fresh.previous = &extra.fresh;
}

void TrackFreshOf(HandleKind& kind) {
  while (kind.fresh.next != &kind.fresh) {
    auto* extra = reinterpret_cast<HandleExtra*>(kind.fresh.next);  // its first field
    (void)UnlinkFresh(*extra);
    PyObject_GC_Track(reinterpret_cast<char*>(extra) - handle_layout.extra);
  }
}

Owned Allocate(HandleKind& kind) {
  if (kind.spare_count > 0) {
    return Owned(PyObject_Init(kind.spares[--kind.spare_count], kind.type));
  }
  PyObject* handle = kind.type->tp_alloc(kind.type, 0);
  if (handle != nullptr) PyObject_GC_UnTrack(handle);
  return Owned(handle);
}

Owned New(const interp::Gil& gil, HandleKind& kind, Loop& loop, PyObject* callback,
          PyObject* const* args, std::size_t count, PyObject* context) {
  Owned own_context = context != nullptr ? Owned::NewRef(context) : ShareCurrentContext(gil);
  if (!own_context) return Owned();
  Owned traceback =
      loop.debug ? Owned(PyObject_CallNoArgs(handles->extract_stack)) : Owned::NewRef(Py_None);
  if (!traceback) return Owned();
  Owned tuple;
  if (count > kInlineArgs) {
    tuple = Owned(PyTuple_New(static_cast<Py_ssize_t>(count)));
    if (!tuple) return Owned();
    for (std::size_t i = 0; i < count; ++i) {
      PyTuple_SET_ITEM(tuple.get(), static_cast<Py_ssize_t>(i), Owned::NewRef(args[i]).release());
    }
  }
  Owned handle = Allocate(kind);
  if (!handle) return Owned();
  PyObject* self = handle.get();
  Slot(self, handle_layout.callback) = Owned::NewRef(callback).release();
  Slot(self, handle_layout.args) = tuple.release();
  Slot(self, handle_layout.cancelled) = Owned::NewRef(Py_False).release();
  Slot(self, handle_layout.loop) = Owned::NewRef(loop.object()).release();
  Slot(self, handle_layout.source_traceback) = traceback.release();
  Slot(self, handle_layout.repr) = Owned::NewRef(Py_None).release();
  Slot(self, handle_layout.context) = own_context.release();
  HandleExtra& extra = ExtraOf(self);
  extra.shares_context = context == nullptr;
  if (loop.in_callback()) {
    LinkFresh(kind, extra);
  } else {
    PyObject_GC_Track(self);
  }
  if (count > kInlineArgs) return handle;
  for (std::size_t i = 0; i < count; ++i) extra.args[i] = Owned::NewRef(args[i]).release();
  extra.count = static_cast<std::uint8_t>(count);
  return handle;
}

}  // namespace

Owned MakeHandle(const interp::Gil& gil, Loop& loop, PyObject* callback, PyObject* const* args,
                 std::size_t count, PyObject* context) {
  return New(gil, handles->plain, loop, callback, args, count, context);
}

Owned MakeTimerHandle(const interp::Gil& gil, double when, Loop& loop, PyObject* callback,
                      PyObject* const* args, std::size_t count, PyObject* context) {
  Owned handle = New(gil, handles->timer, loop, callback, args, count, context);
  if (!handle) return handle;
  ExtraOf(handle.get()).when = when;
  ExtraOf(handle.get()).scheduled = true;
  return handle;
}

void TrackFreshHandles(const interp::Gil&) {
  TrackFreshOf(handles->plain);
  TrackFreshOf(handles->timer);
}

bool IsHandle(PyObject* object) {
  return handles->plain.base != nullptr && PyObject_TypeCheck(object, handles->plain.base) != 0;
}

bool IsTimerHandle(PyObject* object) { return Py_TYPE(object) == handles->timer.type; }

bool IsAnyTimerHandle(PyObject* object) {
  return handles->timer.base != nullptr && PyObject_TypeCheck(object, handles->timer.base) != 0;
}

bool IsCancelled(PyObject* handle) { return Slot(handle, handle_layout.cancelled) == Py_True; }

void MarkUnscheduled(PyObject* timer_handle) { ExtraOf(timer_handle).scheduled = false; }

bool IsScheduled(PyObject* timer_handle) { return ExtraOf(timer_handle).scheduled; }

namespace {

// Calls what the handle holds. Held while it runs: the callback may cancel its own handle, which
// drops them.
Owned Call(PyObject* handle) {
  const Owned callback = Owned::NewRef(Slot(handle, handle_layout.callback));
  PyObject* tuple = Slot(handle, handle_layout.args);
  if (tuple == nullptr && callback && IsOurs(handle)) {
    const HandleExtra& extra = ExtraOf(handle);
    std::array<PyObject*, kInlineArgs + 1> args{};  // the first is the callee's to use
    const std::size_t count = extra.count;
    for (std::size_t i = 0; i < count; ++i) args[i + 1] = Owned::NewRef(extra.args[i]).release();
    Owned result(PyObject_Vectorcall(callback.get(), &args[1],
                                     count | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
    for (std::size_t i = 0; i < count; ++i) Py_DECREF(args[i + 1]);
    return result;
  }
  if (!callback || tuple == nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "the Handle was not initialised, or lost its attributes");
    return Owned();
  }
  const Owned args(PySequence_Tuple(tuple));  // the same, unless somebody replaced it
  if (!args) return Owned();
  return Owned(PyObject_Vectorcall(callback.get(), &PyTuple_GET_ITEM(args.get(), 0),
                                   static_cast<std::size_t>(PyTuple_GET_SIZE(args.get())),
                                   nullptr));
}

// What the handle shares is replaced by one to enter, and returned.
Owned Unshare(const interp::Gil& gil, PyObject* handle) {
  if (!IsOurs(handle) || !ExtraOf(handle).shares_context) return Owned();
  Owned borrowed = BorrowContext(gil, Slot(handle, handle_layout.context));
  if (!borrowed) return Owned();
  ExtraOf(handle).shares_context = false;
  return Owned(std::exchange(Slot(handle, handle_layout.context), borrowed.release()));
}

// As it was, unless the callback changed it.
void ShareAgain(const interp::Gil& gil, PyObject* handle, Owned shared, const Owned& context) {
  constexpr long kOurs = 2;  // the slot's reference and that of `context`
  PyObject*& slot = Slot(handle, handle_layout.context);
  if (slot != context.get() || !ReturnContext(gil, shared.get(), slot, kOurs)) return;
  Py_SETREF(slot, shared.release());
  ExtraOf(handle).shares_context = true;
}

}  // namespace

Ran RunCallback(const interp::Gil& gil, PyObject* handle) {
  Owned shared = Unshare(gil, handle);
  if (PyErr_Occurred() != nullptr) return Ran::kFailed;
  const Owned context = Owned::NewRef(Slot(handle, handle_layout.context));
  if (!context) {
    PyErr_SetString(PyExc_RuntimeError, "the Handle was not initialised, or lost its context");
    return Ran::kFailed;
  }
  if (PyContext_Enter(context.get()) != 0) return Ran::kFailed;
  const Owned result = Call(handle);
  // PyContext_Exit fails only if the callback changed the thread's context itself, and clears
  // nothing.
  if (result) {
    if (PyContext_Exit(context.get()) != 0) return Ran::kFailed;
    if (shared) ShareAgain(gil, handle, std::move(shared), context);
    return Ran::kDone;
  }
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  if (PyContext_Exit(context.get()) != 0) PyErr_Clear();
  PyErr_Restore(type, value, traceback);
  const bool leaves = PyErr_ExceptionMatches(PyExc_SystemExit) != 0 ||
                      PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) != 0;
  return leaves ? Ran::kExit : Ran::kFailed;
}

}  // namespace coloop::loop
