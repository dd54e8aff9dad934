// Reference counting behind ref.h.
#include "interp/ref.h"

#include <Python.h>

namespace coloop::interp {

void IncRef(PyObject* object) { Py_INCREF(object); }
void DecRef(PyObject* object) { Py_DECREF(object); }

}  // namespace coloop::interp
