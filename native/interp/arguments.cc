#include "interp/arguments.h"

#include <Python.h>

#include <algorithm>
#include <cstddef>

namespace coloop::interp {

bool Bind(const Signature& signature, PyObject* const* args, Py_ssize_t count, PyObject* names,
          Bound* bound) {
  bound->fill(nullptr);
  std::copy_n(args, std::min(static_cast<std::size_t>(count), signature.required), bound->begin());
  const Py_ssize_t named = names != nullptr ? PyTuple_GET_SIZE(names) : 0;
  for (Py_ssize_t i = 0; i < named; ++i) {
    PyObject* name = PyTuple_GET_ITEM(names, i);
    const auto* const found = std::ranges::find_if(signature.names, [name](const char* each) {
      return each != nullptr && PyUnicode_CompareWithASCIIString(name, each) == 0;
    });
    if (found == signature.names.end()) {
      PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument %R", signature.method,
                   name);
      return false;
    }
    PyObject*& value = (*bound)[static_cast<std::size_t>(found - signature.names.begin())];
    if (value != nullptr) {
      PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument %R", signature.method,
                   name);
      return false;
    }
    value = args[count + i];
  }
  for (std::size_t i = 0; i < signature.required; ++i) {
    if ((*bound)[i] != nullptr) continue;
    PyErr_Format(PyExc_TypeError, "%s() missing required argument '%s'", signature.method,
                 signature.names[i]);
    return false;
  }
  return true;
}

PyObject* BindOne(const Signature& signature, PyObject* const* args, Py_ssize_t count,
                  PyObject* names) {
  if (count > 1) {
    return PyErr_Format(PyExc_TypeError, "%s() takes exactly one argument (%zd given)",
                        signature.method, count);
  }
  Bound bound;
  return Bind(signature, args, count, names, &bound) ? bound[0] : nullptr;
}

}  // namespace coloop::interp
