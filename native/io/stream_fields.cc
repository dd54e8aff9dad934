#include "io/stream_fields.h"

#include <Python.h>

#include "interp/gil.h"
#include "interp/ref.h"
#include "io/names.h"

namespace coloop::io {

using interp::Gil;
using interp::Owned;

Fields::Fields(const Gil&, PyObject* object)
    : object_(object), dict_(PyObject_GenericGetDict(object, nullptr)) {
  if (!dict_) PyErr_Clear();  // the object answers itself then
}

Owned Fields::Get(PyObject* name) const {
  PyObject* value = dict_ ? PyDict_GetItemWithError(dict_.get(), name) : nullptr;
  if (value != nullptr) return Owned::NewRef(value);
  if (PyErr_Occurred() != nullptr) return Owned();
  return Owned(PyObject_GetAttr(object_, name));
}

int Fields::IsTrue(PyObject* name) const {
  const Owned value = Get(name);
  return value ? PyObject_IsTrue(value.get()) : -1;
}

bool Fields::Set(PyObject* name, PyObject* value) const {
  return (dict_ ? PyDict_SetItem(dict_.get(), name, value)
                : PyObject_SetAttr(object_, name, value)) == 0;
}

int Fields::Has(PyObject* name) const { return dict_ ? PyDict_Contains(dict_.get(), name) : 0; }

int MayHaveToWait(const Fields& protocol) {
  const int lost = protocol.IsTrue(Names().connection_lost_field);
  return lost != 0 ? lost : protocol.IsTrue(Names().paused);
}

}  // namespace coloop::io
