#include "io/span.h"

#include <Python.h>

#include <cstddef>

#include "interp/gil.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"

namespace coloop::io {

using interp::Owned;

namespace {

struct SpanObject {
  PyObject_HEAD char* data;
  Py_ssize_t length;
  int readonly;
};

struct SpanState {
  PyTypeObject* type = nullptr;
};
interp::PerInterpreter<SpanState> state;

SpanObject* AsSpan(PyObject* object) { return reinterpret_cast<SpanObject*>(object); }

int GetBuffer(PyObject* self, Py_buffer* view, int flags) {
  const SpanObject* span = AsSpan(self);
  if (span->data == nullptr) {
    PyErr_SetString(PyExc_BufferError, "the buffer was lent for one call only");
    return -1;
  }
  return PyBuffer_FillInfo(view, self, span->data, span->length, span->readonly, flags);
}

PyType_Slot slots[] = {
    {Py_bf_getbuffer, reinterpret_cast<void*>(GetBuffer)},
    {0, nullptr},
};

PyType_Spec spec = {"_coloop.Span", sizeof(SpanObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

}  // namespace

bool InitSpan(const interp::Gil&) {
  state->type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return state->type != nullptr;
}

Owned NewSpan(const interp::Gil&) { return Owned(state->type->tp_alloc(state->type, 0)); }

SpanOver::SpanOver(PyObject* span, char* data, std::size_t length) : span_(span) {
  AsSpan(span)->data = data;
  AsSpan(span)->length = static_cast<Py_ssize_t>(length);
  AsSpan(span)->readonly = 0;
}

SpanOver::SpanOver(PyObject* span, const char* data, std::size_t length)
    : SpanOver(span, const_cast<char*>(data), length) {
  AsSpan(span)->readonly = 1;
}

SpanOver::~SpanOver() { AsSpan(span_)->data = nullptr; }

}  // namespace coloop::io
