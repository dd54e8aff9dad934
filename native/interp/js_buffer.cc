// JavaScript's memory as an exporter of the buffer protocol (PEP 3118).
#include <Python.h>

#include <cstddef>

#include "base/counters.h"
#include "interp/gil.h"
#include "interp/js_ref.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"

namespace coloop::interp {

namespace {

struct JsBufferObject {
  PyObject_HEAD PyObject* owner;  // the JsRef that keeps the ArrayBuffer alive
  void* data;
  Py_ssize_t length;     // in bytes
  Py_ssize_t item_size;  // in bytes
  Py_ssize_t count;      // shape[0]
  char format[8];
};

struct Types {
  PyTypeObject* js_buffer = nullptr;
};
PerInterpreter<Types> types;

JsBufferObject* AsBuffer(PyObject* object) { return reinterpret_cast<JsBufferObject*>(object); }

int GetBuffer(PyObject* self, Py_buffer* view, int flags) {
  JsBufferObject* buffer = AsBuffer(self);
  view->obj = self;
  Py_INCREF(self);
  view->buf = buffer->data;
  view->len = buffer->length;
  view->readonly = 0;
  view->itemsize = buffer->item_size;
  view->format = (flags & PyBUF_FORMAT) == PyBUF_FORMAT ? buffer->format : nullptr;
  view->ndim = 1;
  view->shape = (flags & PyBUF_ND) == PyBUF_ND ? &buffer->count : nullptr;
  view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? &buffer->item_size : nullptr;
  view->suboffsets = nullptr;
  view->internal = nullptr;
  return 0;
}

void Dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  Py_XDECREF(AsBuffer(self)->owner);
  base::CountLive(base::Live::kBuffer, -1);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* GetOwner(PyObject* self, void*) {
  PyObject* owner = AsBuffer(self)->owner;
  Py_INCREF(owner);
  return owner;
}

PyGetSetDef getset[] = {
    {"owner", GetOwner, nullptr, "The JavaScript object whose memory this is.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(Dealloc)},
    {Py_tp_getset, getset},
    {Py_bf_getbuffer, reinterpret_cast<void*>(GetBuffer)},
    {0, nullptr},
};

PyType_Spec spec = {"_coloop.JsBuffer", sizeof(JsBufferObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

}  // namespace

Owned MakeJsBuffer(const Gil&, Owned owner, void* data, std::size_t length, const char* format,
                   std::size_t item_size) {
  PyObject* object = types->js_buffer->tp_alloc(types->js_buffer, 0);
  if (object == nullptr) return Owned();
  base::CountLive(base::Live::kBuffer, 1);
  JsBufferObject* buffer = AsBuffer(object);
  buffer->owner = owner.release();
  buffer->data = data;
  buffer->length = static_cast<Py_ssize_t>(length);
  buffer->item_size = static_cast<Py_ssize_t>(item_size);
  buffer->count = static_cast<Py_ssize_t>(length / item_size);
  PyOS_snprintf(buffer->format, sizeof(buffer->format), "%s", format);
  const Owned exporter(object);
  return Owned(PyMemoryView_FromObject(object));
}

bool AddJsBufferToModule(const Gil&, PyObject* module) {
  types->js_buffer = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return types->js_buffer != nullptr && PyModule_AddType(module, types->js_buffer) == 0;
}

}  // namespace coloop::interp
