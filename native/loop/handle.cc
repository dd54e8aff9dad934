// Making and running asyncio's own handle objects.
#include "loop/handle.h"

#include <Python.h>
#include <structmember.h>

#include <cstddef>

#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::loop {

using interp::Owned;

namespace {

struct Layout {
  PyTypeObject* handle = nullptr;
  PyTypeObject* timer_handle = nullptr;
  Py_ssize_t callback = 0;
  Py_ssize_t args = 0;
  Py_ssize_t cancelled = 0;
  Py_ssize_t loop = 0;
  Py_ssize_t source_traceback = 0;
  Py_ssize_t repr = 0;
  Py_ssize_t context = 0;
  Py_ssize_t when = 0;
  Py_ssize_t scheduled = 0;
  PyObject* extract_stack = nullptr;
};

Layout layout;

PyObject*& Slot(PyObject* object, Py_ssize_t offset) {
  return *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(object) + offset);
}

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

Owned New(PyTypeObject* type, PyObject* loop, PyObject* callback, PyObject* const* args,
          std::size_t count, PyObject* context, bool debug) {
  Owned handle(type->tp_alloc(type, 0));
  if (!handle) return Owned();
  PyObject* self = handle.get();
  PyObject* tuple = PyTuple_New(static_cast<Py_ssize_t>(count));
  if (tuple == nullptr) return Owned();
  for (std::size_t i = 0; i < count; ++i) {
    Py_INCREF(args[i]);
    PyTuple_SET_ITEM(tuple, static_cast<Py_ssize_t>(i), args[i]);
  }
  Slot(self, layout.args) = tuple;
  Slot(self, layout.callback) = Owned::NewRef(callback).release();
  Slot(self, layout.cancelled) = Owned::NewRef(Py_False).release();
  Slot(self, layout.loop) = Owned::NewRef(loop).release();
  Slot(self, layout.repr) = Owned::NewRef(Py_None).release();
  PyObject* own_context =
      context != nullptr ? Owned::NewRef(context).release() : PyContext_CopyCurrent();
  if (own_context == nullptr) return Owned();
  Slot(self, layout.context) = own_context;
  PyObject* traceback =
      debug ? PyObject_CallNoArgs(layout.extract_stack) : Owned::NewRef(Py_None).release();
  if (traceback == nullptr) return Owned();
  Slot(self, layout.source_traceback) = traceback;
  return handle;
}

}  // namespace

bool InitHandles(const interp::Gil&) {
  if (layout.handle != nullptr) return true;
  const Owned events(PyImport_ImportModule("asyncio.events"));
  const Owned helpers(PyImport_ImportModule("asyncio.format_helpers"));
  if (!events || !helpers) return false;
  layout.extract_stack = PyObject_GetAttrString(helpers.get(), "extract_stack");
  auto* handle = reinterpret_cast<PyTypeObject*>(PyObject_GetAttrString(events.get(), "Handle"));
  layout.timer_handle =
      reinterpret_cast<PyTypeObject*>(PyObject_GetAttrString(events.get(), "TimerHandle"));
  if (layout.extract_stack == nullptr || handle == nullptr || layout.timer_handle == nullptr) {
    return false;
  }
  const struct {
    PyTypeObject* type;
    const char* name;
    Py_ssize_t* offset;
  } slots[] = {
      {handle, "_callback", &layout.callback},
      {handle, "_args", &layout.args},
      {handle, "_cancelled", &layout.cancelled},
      {handle, "_loop", &layout.loop},
      {handle, "_source_traceback", &layout.source_traceback},
      {handle, "_repr", &layout.repr},
      {handle, "_context", &layout.context},
      {layout.timer_handle, "_when", &layout.when},
      {layout.timer_handle, "_scheduled", &layout.scheduled},
  };
  for (const auto& slot : slots) {
    if (!Offset(slot.type, slot.name, slot.offset)) return false;
  }
  layout.handle = handle;
  return true;
}

Owned MakeHandle(const interp::Gil&, PyObject* loop, PyObject* callback, PyObject* const* args,
                 std::size_t count, PyObject* context, bool debug) {
  return New(layout.handle, loop, callback, args, count, context, debug);
}

Owned MakeTimerHandle(const interp::Gil&, double when, PyObject* loop, PyObject* callback,
                      PyObject* const* args, std::size_t count, PyObject* context, bool debug) {
  Owned handle = New(layout.timer_handle, loop, callback, args, count, context, debug);
  if (!handle) return handle;
  PyObject* time = PyFloat_FromDouble(when);
  if (time == nullptr) return Owned();
  Slot(handle.get(), layout.when) = time;
  Slot(handle.get(), layout.scheduled) = Owned::NewRef(Py_True).release();
  return handle;
}

bool IsHandle(PyObject* object) {
  return layout.handle != nullptr && PyObject_TypeCheck(object, layout.handle) != 0;
}

bool IsTimerHandle(PyObject* object) {
  return layout.handle != nullptr && PyObject_TypeCheck(object, layout.timer_handle) != 0;
}

bool IsCancelled(PyObject* handle) { return Slot(handle, layout.cancelled) == Py_True; }

void MarkUnscheduled(PyObject* handle) {
  Py_XSETREF(Slot(handle, layout.scheduled), Owned::NewRef(Py_False).release());
}

bool IsScheduled(PyObject* handle) { return Slot(handle, layout.scheduled) == Py_True; }

Ran RunCallback(const interp::Gil&, PyObject* handle) {
  // Held here: the callback may cancel its own handle, which drops them.
  const Owned callback = Owned::NewRef(Slot(handle, layout.callback));
  const Owned args = Owned::NewRef(Slot(handle, layout.args));
  const Owned context = Owned::NewRef(Slot(handle, layout.context));
  if (!callback || !args || !context) {
    PyErr_SetString(PyExc_RuntimeError, "the Handle was not initialised, or lost its attributes");
    return Ran::kFailed;
  }
  if (PyContext_Enter(context.get()) != 0) return Ran::kFailed;
  const Owned result(
      PyTuple_CheckExact(args.get())
          ? PyObject_Vectorcall(callback.get(), &PyTuple_GET_ITEM(args.get(), 0),
                                static_cast<std::size_t>(PyTuple_GET_SIZE(args.get())), nullptr)
          : PyObject_CallObject(callback.get(), args.get()));
  // PyContext_Exit fails only if the callback changed the thread's context itself, and clears
  // nothing.
  if (result) return PyContext_Exit(context.get()) == 0 ? Ran::kDone : Ran::kFailed;
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
