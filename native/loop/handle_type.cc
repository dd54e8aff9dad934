// The types of handles, over asyncio's.
#include <Python.h>
#include <structmember.h>

#include <array>
#include <cstddef>
#include <utility>

#include "interp/gil.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"
#include "loop/context.h"
#include "loop/handle.h"
#include "loop/handle_layout.h"
#include "loop/loop.h"

namespace coloop::loop {

using interp::Owned;

interp::PerInterpreter<Handles> handles;
HandleLayout handle_layout;

namespace {

// Every reference that a handle has. The loop ends at the first result that is not zero.
template <typename Visit>
int Each(PyObject* handle, Visit visit) {
  for (const Py_ssize_t offset :
       {handle_layout.callback, handle_layout.args, handle_layout.cancelled, handle_layout.loop,
        handle_layout.source_traceback, handle_layout.repr, handle_layout.context}) {
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
  HandleExtra& extra = ExtraOf(handle);
  const std::array<PyObject*, kInlineArgs> dropped = std::exchange(extra.args, {});
  extra.count = 0;
  for (PyObject* argument : dropped) Py_XDECREF(argument);
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

}  // namespace

void DeallocHandle(PyObject* self) {
  if (!UnlinkFresh(ExtraOf(self))) PyObject_GC_UnTrack(self);
  Py_TRASHCAN_BEGIN(
      self,
      DeallocHandle)  // the argument of one handle may be the last reference to another
      PyTypeObject* type = Py_TYPE(self);
  PyObject* weak_references = Slot(self, type->tp_weaklistoffset);
  if (weak_references != nullptr) PyObject_ClearWeakRefs(self);
  Clear(self);
  HandleKind& kind = KindOf(self);
  if (kind.spare_count < kSpareHandles) {
    kind.spares[kind.spare_count++] = self;
  } else {
    type->tp_free(self);
  }
  Py_DECREF(type);
  Py_TRASHCAN_END
}

namespace {

// Handle._args: the tuple is made when it is asked for.
PyObject* GetArgs(PyObject* self, void*) {
  if (Slot(self, handle_layout.args) == nullptr) {
    HandleExtra& extra = ExtraOf(self);
    Owned tuple(PyTuple_New(static_cast<Py_ssize_t>(extra.count)));
    if (!tuple) return nullptr;
    // Again: the allocation may have collected garbage, and a finalizer cancelled the handle.
    if (Slot(self, handle_layout.args) == nullptr) {
      for (std::size_t i = 0; i < extra.count; ++i) {
        PyTuple_SET_ITEM(tuple.get(), static_cast<Py_ssize_t>(i),
                         std::exchange(extra.args[i], nullptr));
      }
      extra.count = 0;
      Slot(self, handle_layout.args) = tuple.release();
    }
  }
  return Owned::NewRef(Slot(self, handle_layout.args)).release();
}

bool CheckNoDelete(PyObject* value) {
  if (value == nullptr)
    PyErr_SetString(PyExc_AttributeError, "a Handle's fields cannot be deleted");
  return value != nullptr;
}

int SetArgs(PyObject* self, PyObject* value, void*) {
  if (!CheckNoDelete(value)) return -1;
  Py_XSETREF(Slot(self, handle_layout.args), Owned::NewRef(value).release());
  DropInlineArgs(self);
  return 0;
}

// Handle._context: one of its own, as soon as somebody sees it.
PyObject* GetContext(PyObject* self, void*) {
  PyObject*& context = Slot(self, handle_layout.context);
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
  Py_XSETREF(Slot(self, handle_layout.context), Owned::NewRef(value).release());
  return 0;
}

// Handle.cancel and, for what the loop has to know, TimerHandle.cancel.
PyObject* Cancel(PyObject* self, PyObject*) {
  if (IsCancelled(self)) Py_RETURN_NONE;
  const Owned owner = Owned::NewRef(Slot(self, handle_layout.loop));
  Loop* loop = owner ? Loop::From(interp::Gil::FromPython(), owner.get()) : nullptr;
  Py_XSETREF(Slot(self, handle_layout.cancelled), Owned::NewRef(Py_True).release());
  if (loop != nullptr && IsTimerHandle(self) && IsScheduled(self)) loop->TimerCancelled(self);
  // As asyncio: it is what remains to be shown of the callback.
  if (loop != nullptr && loop->debug) {
    PyObject* text = PyObject_Repr(self);
    if (text == nullptr) return nullptr;
    Py_XSETREF(Slot(self, handle_layout.repr), text);
  }
  Py_XSETREF(Slot(self, handle_layout.callback), Owned::NewRef(Py_None).release());
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
bool MakeType(HandleKind& kind, Owned base, const char* name, PyMethodDef* with,
              PyGetSetDef* fields) {
  if (!base) return false;
  kind.base = reinterpret_cast<PyTypeObject*>(base.release());
  PyType_Slot slots[] = {
      {Py_tp_dealloc, reinterpret_cast<void*>(DeallocHandle)},
      {Py_tp_traverse, reinterpret_cast<void*>(Traverse)},
      {Py_tp_clear, reinterpret_cast<void*>(Clear)},
      {Py_tp_methods, with},
      {Py_tp_getset, fields},
      {0, nullptr},
  };
  PyType_Spec spec = {
      name, static_cast<int>(handle_layout.extra + static_cast<Py_ssize_t>(sizeof(HandleExtra))), 0,
      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};
  const Owned bases(PyTuple_Pack(1, kind.base));
  if (!bases) return false;
  kind.type = reinterpret_cast<PyTypeObject*>(PyType_FromSpecWithBases(&spec, bases.get()));
  return kind.type != nullptr;
}

// Other threads read it without a lock, so it is written once.
bool KeepLayout(const HandleLayout& layout) {
  if (handle_layout == layout) return true;
  if (handle_layout != HandleLayout{}) {
    PyErr_SetString(PyExc_RuntimeError, "asyncio's Handle differs between two interpreters");
    return false;
  }
  handle_layout = layout;
  return true;
}

}  // namespace

bool InitHandles(const interp::Gil& gil) {
  if (handles->timer.type != nullptr) return true;
  if (!InitContexts(gil)) return false;
  const Owned events(PyImport_ImportModule("asyncio.events"));
  const Owned helpers(PyImport_ImportModule("asyncio.format_helpers"));
  if (!events || !helpers) return false;
  handles->extract_stack = PyObject_GetAttrString(helpers.get(), "extract_stack");
  if (handles->extract_stack == nullptr) return false;
  Owned handle(PyObject_GetAttrString(events.get(), "Handle"));
  if (!handle) return false;
  auto* base = reinterpret_cast<PyTypeObject*>(handle.get());
  HandleLayout layout;
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
  Owned timer_handle(PyObject_GetAttrString(events.get(), "TimerHandle"));
  if (!timer_handle) return false;
  layout.extra = reinterpret_cast<PyTypeObject*>(timer_handle.get())->tp_basicsize;
  if (!KeepLayout(layout)) return false;
  return MakeType(handles->plain, std::move(handle), "_coloop.Handle", methods, getset) &&
         MakeType(handles->timer, std::move(timer_handle), "_coloop.TimerHandle", timer_methods,
                  timer_getset);
}

}  // namespace coloop::loop
