// The types of handles, and running them.
#include "loop/handle.h"

#include <Python.h>
#include <structmember.h>

#include <array>
#include <cstddef>
#include <utility>

#include "interp/gil.h"
#include "interp/ref.h"
#include "loop/context.h"
#include "loop/loop.h"

namespace coloop::loop {

using interp::Owned;

namespace {

constexpr std::size_t kInline = 3;
constexpr std::size_t kSpares = 2048;

// A ring of handles.
struct Link {
  Link* next;
  Link* previous;
};

// What follows the slots of the base class.
struct Extra {
  Link fresh;  // in Kind::fresh, or null
  Loop* native;
  PyObject* owner;                      // whose `native` is, as long as the slot `_loop` has it
  std::array<PyObject*, kInline> args;  // unless the slot `_args` is set
  std::size_t count;
  bool shares_context;  // the one in the slot `_context` is not to be entered
  double when;          // of a timer
  bool scheduled;       // of a timer: the heap has it
};

// One of our two types.
struct Kind {
  PyTypeObject* type = nullptr;
  PyTypeObject* base = nullptr;
  Py_ssize_t extra = 0;  // where Extra is
  // Freed objects, to be used again.
  std::array<PyObject*, kSpares> spares{};
  std::size_t spare_count = 0;
  // Those made by callbacks that run now. Most are gone when these are done; the garbage collector
  // gets the others to know then.
  Link fresh{&fresh, &fresh};
};

// GIL held.
Kind plain;
Kind timer;

// Offsets of the slots of asyncio.Handle.
struct Layout {
  Py_ssize_t callback = 0;
  Py_ssize_t args = 0;
  Py_ssize_t cancelled = 0;
  Py_ssize_t loop = 0;
  Py_ssize_t source_traceback = 0;
  Py_ssize_t repr = 0;
  Py_ssize_t context = 0;
};
Layout layout;
PyObject* extract_stack = nullptr;

PyObject*& Slot(PyObject* object, Py_ssize_t offset) {
  return *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(object) + offset);
}

bool IsOurs(PyObject* object) {
  return Py_TYPE(object) == plain.type || Py_TYPE(object) == timer.type;
}

Kind& KindOf(PyTypeObject* type) { return type == timer.type ? timer : plain; }

Extra& ExtraOf(PyObject* handle) {
  return *reinterpret_cast<Extra*>(reinterpret_cast<char*>(handle) + KindOf(Py_TYPE(handle)).extra);
}

// Every reference that a handle has. The loop ends at the first result that is not zero.
template <typename Visit>
int Each(PyObject* handle, Visit visit) {
  for (const Py_ssize_t offset : {layout.callback, layout.args, layout.cancelled, layout.loop,
                                  layout.source_traceback, layout.repr, layout.context}) {
    const int result = visit(Slot(handle, offset));
    if (result != 0) return result;
  }
  for (PyObject*& argument : ExtraOf(handle).args) {
    const int result = visit(argument);
    if (result != 0) return result;
  }
  return 0;
}

void DropInlineArgs(PyObject* handle) {
  Extra& extra = ExtraOf(handle);
  const std::array<PyObject*, kInline> dropped = std::exchange(extra.args, {});
  extra.count = 0;
  for (PyObject* argument : dropped) Py_XDECREF(argument);
}

void LinkFresh(Kind& kind, Extra& extra) {
  extra.fresh = {&kind.fresh, kind.fresh.previous};
  kind.fresh.previous->next = &extra.fresh;
  kind.fresh.previous = &extra.fresh;
}

// False if it was not linked.
bool UnlinkFresh(Extra& extra) {
  const Link link = std::exchange(extra.fresh, {});
  if (link.next == nullptr) return false;
  link.next->previous = link.previous;
  link.previous->next = link.next;
  return true;
}

void TrackFreshOf(Kind& kind) {
  while (kind.fresh.next != &kind.fresh) {
    auto* extra = reinterpret_cast<Extra*>(kind.fresh.next);  // its first field
    UnlinkFresh(*extra);
    PyObject_GC_Track(reinterpret_cast<char*>(extra) - kind.extra);
  }
}

Owned Allocate(Kind& kind) {
  if (kind.spare_count > 0) {
    return Owned(PyObject_Init(kind.spares[--kind.spare_count], kind.type));
  }
  PyObject* handle = kind.type->tp_alloc(kind.type, 0);
  if (handle != nullptr) PyObject_GC_UnTrack(handle);
  return Owned(handle);
}

Owned New(const interp::Gil& gil, Kind& kind, Loop& loop, PyObject* callback, PyObject* const* args,
          std::size_t count, PyObject* context) {
  Owned own_context = context != nullptr ? Owned::NewRef(context) : ShareCurrentContext(gil);
  if (!own_context) return Owned();
  Owned traceback = loop.debug ? Owned(PyObject_CallNoArgs(extract_stack)) : Owned::NewRef(Py_None);
  if (!traceback) return Owned();
  Owned tuple;
  if (count > kInline) {
    tuple = Owned(PyTuple_New(static_cast<Py_ssize_t>(count)));
    if (!tuple) return Owned();
    for (std::size_t i = 0; i < count; ++i) {
      PyTuple_SET_ITEM(tuple.get(), static_cast<Py_ssize_t>(i), Owned::NewRef(args[i]).release());
    }
  }
  Owned handle = Allocate(kind);
  if (!handle) return Owned();
  PyObject* self = handle.get();
  Slot(self, layout.callback) = Owned::NewRef(callback).release();
  Slot(self, layout.args) = tuple.release();
  Slot(self, layout.cancelled) = Owned::NewRef(Py_False).release();
  Slot(self, layout.loop) = Owned::NewRef(loop.object()).release();
  Slot(self, layout.source_traceback) = traceback.release();
  Slot(self, layout.repr) = Owned::NewRef(Py_None).release();
  Slot(self, layout.context) = own_context.release();
  Extra& extra = ExtraOf(self);
  extra.native = &loop;
  extra.owner = loop.object();
  extra.shares_context = context == nullptr;
  if (loop.in_callback()) {
    LinkFresh(kind, extra);
  } else {
    PyObject_GC_Track(self);
  }
  if (count > kInline) return handle;
  for (std::size_t i = 0; i < count; ++i) extra.args[i] = Owned::NewRef(args[i]).release();
  extra.count = count;
  return handle;
}

int Traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  return Each(
      self, [visit, arg](PyObject* object) { return object != nullptr ? visit(object, arg) : 0; });
}

int Clear(PyObject* self) {
  ExtraOf(self).count = 0;
  return Each(self, [](PyObject*& object) {
    Py_CLEAR(object);
    return 0;
  });
}

void Dealloc(PyObject* self) {
  if (!UnlinkFresh(ExtraOf(self))) PyObject_GC_UnTrack(self);
  Py_TRASHCAN_BEGIN(self,
                    Dealloc)  // the argument of one handle may be the last reference to another
      PyTypeObject* type = Py_TYPE(self);
  PyObject* weak_references = Slot(self, type->tp_weaklistoffset);
  if (weak_references != nullptr) PyObject_ClearWeakRefs(self);
  Clear(self);
  Kind& kind = KindOf(type);
  if (kind.spare_count < kSpares) {
    kind.spares[kind.spare_count++] = self;
  } else {
    type->tp_free(self);
  }
  Py_DECREF(type);
  Py_TRASHCAN_END
}

// Handle._args: the tuple is made when it is asked for.
PyObject* GetArgs(PyObject* self, void*) {
  if (Slot(self, layout.args) == nullptr) {
    Extra& extra = ExtraOf(self);
    Owned tuple(PyTuple_New(static_cast<Py_ssize_t>(extra.count)));
    if (!tuple) return nullptr;
    // Again: the allocation may have collected garbage, and a finalizer cancelled the handle.
    if (Slot(self, layout.args) == nullptr) {
      for (std::size_t i = 0; i < extra.count; ++i) {
        PyTuple_SET_ITEM(tuple.get(), static_cast<Py_ssize_t>(i),
                         std::exchange(extra.args[i], nullptr));
      }
      extra.count = 0;
      Slot(self, layout.args) = tuple.release();
    }
  }
  return Owned::NewRef(Slot(self, layout.args)).release();
}

bool CheckNoDelete(PyObject* value) {
  if (value == nullptr)
    PyErr_SetString(PyExc_AttributeError, "a Handle's fields cannot be deleted");
  return value != nullptr;
}

int SetArgs(PyObject* self, PyObject* value, void*) {
  if (!CheckNoDelete(value)) return -1;
  Py_XSETREF(Slot(self, layout.args), Owned::NewRef(value).release());
  DropInlineArgs(self);
  return 0;
}

// Handle._context: one of its own, as soon as somebody sees it.
PyObject* GetContext(PyObject* self, void*) {
  PyObject*& context = Slot(self, layout.context);
  if (context == nullptr) {
    PyErr_SetString(PyExc_AttributeError, "_context");
    return nullptr;
  }
  if (ExtraOf(self).shares_context) {
    PyObject* copy = PyContext_Copy(context);
    if (copy == nullptr) return nullptr;
    Py_SETREF(context, copy);
    ExtraOf(self).shares_context = false;
  }
  return Owned::NewRef(context).release();
}

int SetContext(PyObject* self, PyObject* value, void*) {
  if (!CheckNoDelete(value)) return -1;
  ExtraOf(self).shares_context = false;
  Py_XSETREF(Slot(self, layout.context), Owned::NewRef(value).release());
  return 0;
}

// Handle.cancel and, for what the loop has to know, TimerHandle.cancel.
PyObject* Cancel(PyObject* self, PyObject*) {
  if (IsCancelled(self)) Py_RETURN_NONE;
  const Owned owner = Owned::NewRef(Slot(self, layout.loop));
  Loop* loop = owner && owner.get() == ExtraOf(self).owner ? ExtraOf(self).native : nullptr;
  Py_XSETREF(Slot(self, layout.cancelled), Owned::NewRef(Py_True).release());
  if (loop != nullptr && IsTimerHandle(self) && IsScheduled(self)) loop->TimerCancelled(self);
  // As asyncio: it is what remains to be shown of the callback.
  if (loop != nullptr && loop->debug) {
    PyObject* text = PyObject_Repr(self);
    if (text == nullptr) return nullptr;
    Py_XSETREF(Slot(self, layout.repr), text);
  }
  Py_XSETREF(Slot(self, layout.callback), Owned::NewRef(Py_None).release());
  return SetArgs(self, Py_None, nullptr) == 0 ? Owned::NewRef(Py_None).release() : nullptr;
}

PyObject* Cancelled(PyObject* self, PyObject*) {
  return PyBool_FromLong(IsCancelled(self) ? 1 : 0);
}

PyObject* When(PyObject* self, PyObject*) { return PyFloat_FromDouble(ExtraOf(self).when); }
PyObject* GetWhen(PyObject* self, void*) { return When(self, nullptr); }

int SetWhen(PyObject* self, PyObject* value, void*) {
  if (!CheckNoDelete(value)) return -1;
  const double when = PyFloat_AsDouble(value);
  if (when == -1.0 && PyErr_Occurred() != nullptr) return -1;
  ExtraOf(self).when = when;
  return 0;
}

PyObject* GetScheduled(PyObject* self, void*) { return PyBool_FromLong(IsScheduled(self) ? 1 : 0); }

// TimerHandle.__init__ writes it; whether the heap has the handle is for the heap to say.
int SetScheduled(PyObject*, PyObject*, void*) { return 0; }

PyMethodDef methods[] = {
    {"cancel", Cancel, METH_NOARGS, "Cancels the callback, if it has not run yet."},
    {"cancelled", Cancelled, METH_NOARGS, "Whether it was cancelled."},
    {nullptr, nullptr, 0, nullptr},
};

PyMethodDef timer_methods[] = {
    {"cancel", Cancel, METH_NOARGS, "Cancels the callback, if it has not run yet."},
    {"cancelled", Cancelled, METH_NOARGS, "Whether it was cancelled."},
    {"when", When, METH_NOARGS, "When it is due, in seconds of loop.time()."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef getset[] = {
    {"_args", GetArgs, SetArgs, nullptr, nullptr},
    {"_context", GetContext, SetContext, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyGetSetDef timer_getset[] = {
    {"_args", GetArgs, SetArgs, nullptr, nullptr},
    {"_context", GetContext, SetContext, nullptr, nullptr},
    {"_when", GetWhen, SetWhen, nullptr, nullptr},
    {"_scheduled", GetScheduled, SetScheduled, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

bool Offset(PyTypeObject* type, const char* name, Py_ssize_t* offset) {
  const Owned descriptor(PyObject_GetAttrString(reinterpret_cast<PyObject*>(type), name));
  if (!descriptor) return false;
  if (Py_TYPE(descriptor.get()) != &PyMemberDescr_Type) {
    PyErr_Format(PyExc_TypeError, "asyncio's %s.%s is no slot", type->tp_name, name);
    return false;
  }
  *offset = reinterpret_cast<PyMemberDescrObject*>(descriptor.get())->d_member->offset;
  return true;
}

// Our type over `base`, which the kind keeps.
bool MakeType(Kind& kind, Owned base, const char* name, PyMethodDef* with, PyGetSetDef* fields) {
  if (!base) return false;
  kind.base = reinterpret_cast<PyTypeObject*>(base.release());
  kind.extra = kind.base->tp_basicsize;
  PyType_Slot slots[] = {
      {Py_tp_dealloc, reinterpret_cast<void*>(Dealloc)},
      {Py_tp_traverse, reinterpret_cast<void*>(Traverse)},
      {Py_tp_clear, reinterpret_cast<void*>(Clear)},
      {Py_tp_methods, with},
      {Py_tp_getset, fields},
      {0, nullptr},
  };
  PyType_Spec spec = {name, static_cast<int>(kind.extra + static_cast<Py_ssize_t>(sizeof(Extra))),
                      0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};
  const Owned bases(PyTuple_Pack(1, kind.base));
  if (!bases) return false;
  kind.type = reinterpret_cast<PyTypeObject*>(PyType_FromSpecWithBases(&spec, bases.get()));
  return kind.type != nullptr;
}

}  // namespace

bool InitHandles(const interp::Gil& gil) {
  if (timer.type != nullptr) return true;
  if (!InitContexts(gil)) return false;
  const Owned events(PyImport_ImportModule("asyncio.events"));
  const Owned helpers(PyImport_ImportModule("asyncio.format_helpers"));
  if (!events || !helpers) return false;
  extract_stack = PyObject_GetAttrString(helpers.get(), "extract_stack");
  if (extract_stack == nullptr) return false;
  Owned handle(PyObject_GetAttrString(events.get(), "Handle"));
  if (!handle) return false;
  auto* base = reinterpret_cast<PyTypeObject*>(handle.get());
  const struct {
    const char* name;
    Py_ssize_t* offset;
  } fields[] = {
      {"_callback", &layout.callback},
      {"_args", &layout.args},
      {"_cancelled", &layout.cancelled},
      {"_loop", &layout.loop},
      {"_source_traceback", &layout.source_traceback},
      {"_repr", &layout.repr},
      {"_context", &layout.context},
  };
  for (const auto& field : fields) {
    if (!Offset(base, field.name, field.offset)) return false;
  }
  return MakeType(plain, std::move(handle), "_coloop.Handle", methods, getset) &&
         MakeType(timer, Owned(PyObject_GetAttrString(events.get(), "TimerHandle")),
                  "_coloop.TimerHandle", timer_methods, timer_getset);
}

Owned MakeHandle(const interp::Gil& gil, Loop& loop, PyObject* callback, PyObject* const* args,
                 std::size_t count, PyObject* context) {
  return New(gil, plain, loop, callback, args, count, context);
}

Owned MakeTimerHandle(const interp::Gil& gil, double when, Loop& loop, PyObject* callback,
                      PyObject* const* args, std::size_t count, PyObject* context) {
  Owned handle = New(gil, timer, loop, callback, args, count, context);
  if (!handle) return handle;
  ExtraOf(handle.get()).when = when;
  ExtraOf(handle.get()).scheduled = true;
  return handle;
}

void TrackFreshHandles(const interp::Gil&) {
  TrackFreshOf(plain);
  TrackFreshOf(timer);
}

bool IsHandle(PyObject* object) {
  return plain.base != nullptr && PyObject_TypeCheck(object, plain.base) != 0;
}

bool IsTimerHandle(PyObject* object) { return Py_TYPE(object) == timer.type; }

bool IsCancelled(PyObject* handle) { return Slot(handle, layout.cancelled) == Py_True; }

void MarkUnscheduled(PyObject* timer_handle) { ExtraOf(timer_handle).scheduled = false; }

bool IsScheduled(PyObject* timer_handle) { return ExtraOf(timer_handle).scheduled; }

namespace {

// Calls what the handle holds. Held while it runs: the callback may cancel its own handle, which
// drops them.
Owned Call(PyObject* handle) {
  const Owned callback = Owned::NewRef(Slot(handle, layout.callback));
  PyObject* tuple = Slot(handle, layout.args);
  if (tuple == nullptr && callback && IsOurs(handle)) {
    const Extra& extra = ExtraOf(handle);
    std::array<PyObject*, kInline + 1> args{};  // the first is the callee's to use
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
  Owned borrowed = BorrowContext(gil, Slot(handle, layout.context));
  if (!borrowed) return Owned();
  ExtraOf(handle).shares_context = false;
  return Owned(std::exchange(Slot(handle, layout.context), borrowed.release()));
}

// As it was, unless the callback changed it.
void ShareAgain(const interp::Gil& gil, PyObject* handle, Owned shared, const Owned& context) {
  constexpr long kOurs = 2;  // the slot's reference and that of `context`
  PyObject*& slot = Slot(handle, layout.context);
  if (slot != context.get() || !ReturnContext(gil, shared.get(), slot, kOurs)) return;
  Py_SETREF(slot, shared.release());
  ExtraOf(handle).shares_context = true;
}

}  // namespace

Ran RunCallback(const interp::Gil& gil, PyObject* handle) {
  Owned shared = Unshare(gil, handle);
  if (PyErr_Occurred() != nullptr) return Ran::kFailed;
  const Owned context = Owned::NewRef(Slot(handle, layout.context));
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
