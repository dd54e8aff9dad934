// Reference counting behind ref.h.
#include "interp/ref.h"

#include <Python.h>

namespace coloop::interp {

void IncRef(PyObject* object) { Py_INCREF(object); }
void DecRef(PyObject* object) { Py_DECREF(object); }
bool IsShared(PyObject* object) { return Py_REFCNT(object) > 1; }

}  // namespace coloop::interp
