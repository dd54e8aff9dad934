// Thin covers of the C API behind object.h.
#include "interp/object.h"

#include <Python.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

#include "base/counters.h"
#include "interp/error.h"
#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::interp {

std::uint32_t Abilities(const Gil&, PyObject* object) {
  const PyTypeObject* type = Py_TYPE(object);
  std::uint32_t bits = 0;
  if (type->tp_call != nullptr) bits |= kCallable;
  if (type->tp_iternext != nullptr && PyIter_Check(object) != 0) bits |= kIterator;
  const PySequenceMethods* sequence = type->tp_as_sequence;
  // What iter() takes, the old protocol by __getitem__ included.
  if (type->tp_iter != nullptr || PySequence_Check(object) != 0) bits |= kIterable;
  const PyAsyncMethods* async = type->tp_as_async;
  if (async != nullptr) {
    if (async->am_aiter != nullptr) bits |= kAsyncIterable;
    if (async->am_anext != nullptr) bits |= kAsyncIterator;
    if (async->am_await != nullptr) bits |= kAwaitable;
  }
  const bool mapping_length =
      type->tp_as_mapping != nullptr && type->tp_as_mapping->mp_length != nullptr;
  if (mapping_length || (sequence != nullptr && sequence->sq_length != nullptr)) bits |= kSized;
  if (PyType_Check(object)) bits |= kClass;
  if (PyObject_CheckBuffer(object) != 0) bits |= kBuffer;
  return bits;
}

Owned InternName(const Gil&, const char16_t* text, std::size_t length) {
  int order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? -1 : 1;
  PyObject* name =
      PyUnicode_DecodeUTF16(reinterpret_cast<const char*>(text),
                            static_cast<Py_ssize_t>(length * 2), "surrogatepass", &order);
  if (name != nullptr) PyUnicode_InternInPlace(&name);
  return Owned(name);
}

Owned GetAttribute(const Gil&, PyObject* object, PyObject* name) {
  return Owned(PyObject_GetAttr(object, name));
}

Owned Import(const Gil&, const char* module) { return Owned(PyImport_ImportModule(module)); }

Owned GetAttributeString(const Gil&, PyObject* object, const char* name) {
  return Owned(PyObject_GetAttrString(object, name));
}

Owned Vectorcall(const Gil&, PyObject* callable, PyObject* const* arguments, std::size_t count,
                 PyObject* keyword_names) {
  return Owned(PyObject_Vectorcall(callable, arguments, count, keyword_names));
}

void ExplainMissingFrame(const Gil&, PyObject* callable) {
  constexpr std::string_view kLooking[] = {"dir", "eval", "exec", "globals", "locals", "vars"};
  if (PyErr_ExceptionMatches(PyExc_SystemError) == 0 || PyEval_GetFrame() != nullptr ||
      PyCFunction_Check(callable) == 0) {
    return;
  }
  const char* name = reinterpret_cast<PyCFunctionObject*>(callable)->m_ml->ml_name;
  PyObject* own = PyDict_GetItemString(PyEval_GetBuiltins(), name);
  if (own != callable || std::ranges::find(kLooking, name) == std::end(kLooking)) return;
  PyErr_Format(
      PyExc_RuntimeError,
      "%s() looks at the Python code that calls it, and JavaScript called it: use py.eval() "
      "or py.exec(), where such code runs",
      name);
}

Owned Tuple(const Gil&, PyObject* const* items, std::size_t count) {
  PyObject* tuple = PyTuple_New(static_cast<Py_ssize_t>(count));
  if (tuple == nullptr) return Owned();
  for (std::size_t i = 0; i < count; ++i) {
    Py_INCREF(items[i]);
    PyTuple_SET_ITEM(tuple, static_cast<Py_ssize_t>(i), items[i]);
  }
  return Owned(tuple);
}

Owned Bool(const Gil&, bool value) { return Owned(PyBool_FromLong(value ? 1 : 0)); }
Owned Str(const Gil&, const char* utf8) { return Owned(PyUnicode_FromString(utf8)); }

bool MakesCoroutine(const Gil&, PyObject* callable) {
  PyObject* function = PyMethod_Check(callable) ? PyMethod_GET_FUNCTION(callable) : callable;
  if (!PyFunction_Check(function)) return false;
  const auto* code = reinterpret_cast<PyCodeObject*>(PyFunction_GET_CODE(function));
  return (code->co_flags & CO_COROUTINE) != 0;
}

bool RunsOn(const Gil&, PyObject* awaitable, PyObject* loop) {
  if (PyCoro_CheckExact(awaitable)) return true;
  const Owned own(PyObject_CallMethod(awaitable, "get_loop", nullptr));
  if (!own) PyErr_Clear();
  return own.get() == loop;
}

void CloseCoroutine(const Gil& gil, PyObject* object) {
  if (PyCoro_CheckExact(object) == 0) return;
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  const Owned closed(PyObject_CallMethod(object, "close", nullptr));
  if (!closed) ReportUnraisable(gil, object);
  PyErr_Restore(type, value, traceback);
}

bool PinBuffer(const Gil&, PyObject* object, bool for_copy, BufferView* view) {
  auto* pinned = new Py_buffer;
  const int layout = for_copy ? PyBUF_FULL_RO : PyBUF_C_CONTIGUOUS | PyBUF_FORMAT;
  const bool writable =
      !for_copy && PyObject_GetBuffer(object, pinned, layout | PyBUF_WRITABLE) == 0;
  if (!writable) {
    PyErr_Clear();
    if (PyObject_GetBuffer(object, pinned, layout) != 0) {
      delete pinned;
      return false;
    }
  }
  view->data = pinned->buf;
  view->length = static_cast<std::size_t>(pinned->len);
  view->item_size = static_cast<std::size_t>(pinned->itemsize);
  view->format = pinned->format != nullptr ? pinned->format : "B";
  view->read_only = pinned->readonly != 0;
  view->pinned = pinned;
  base::CountLive(base::Live::kBuffer, 1);
  return true;
}

bool TakeNotContiguous(const Gil&, PyObject* object) {
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  Py_buffer buffer;
  if (PyObject_GetBuffer(object, &buffer, PyBUF_FULL_RO) != 0) {
    PyErr_Clear();
    PyErr_Restore(type, value, traceback);
    return false;
  }
  PyBuffer_Release(&buffer);
  Py_XDECREF(type);
  Py_XDECREF(value);
  Py_XDECREF(traceback);
  return true;
}

bool CopyBuffer(const Gil&, const BufferView& view, void* memory) {
  auto* pinned = static_cast<Py_buffer*>(view.pinned);
  return PyBuffer_ToContiguous(memory, pinned, pinned->len, 'C') == 0;
}

void UnpinBuffer(const Gil&, void* pinned) {
  auto* buffer = static_cast<Py_buffer*>(pinned);
  PyBuffer_Release(buffer);
  delete buffer;
  base::CountLive(base::Live::kBuffer, -1);
}

void Raise(const Gil&, const char* type_name, const std::string& message) {
  PyObject* type = PyDict_GetItemString(PyEval_GetBuiltins(), type_name);
  PyErr_SetString(type != nullptr ? type : PyExc_RuntimeError, message.c_str());
}

Owned ContextVariable(const Gil&, PyObject* variable) {
  PyObject* value = nullptr;
  if (PyContextVar_Get(variable, nullptr, &value) != 0) PyErr_Clear();
  return Owned(value);
}

Owned ContextWith(const Gil&, PyObject* variable, PyObject* value) {
  Owned context(PyContext_CopyCurrent());
  if (!context || PyContext_Enter(context.get()) != 0) return Owned();
  const Owned token(PyContextVar_Set(variable, value));
  if (PyContext_Exit(context.get()) != 0 || !token) return Owned();
  return context;
}

}  // namespace coloop::interp
