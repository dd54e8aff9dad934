#include "io/descriptor.h"

#include <Python.h>

#include "interp/gil.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"

namespace coloop::io {

using interp::Owned;

namespace {

// Modules/socketmodule.h, the same from 3.10 to 3.14.
struct SocketObject {
  PyObject_HEAD int descriptor;
};

struct SocketState {
  PyObject* type = nullptr;
};
interp::PerInterpreter<SocketState> state;

bool IsSocket(PyObject* object) {
  if (state->type == nullptr) {
    const Owned module(PyImport_ImportModule("_socket"));
    state->type = module ? PyObject_GetAttrString(module.get(), "socket") : nullptr;
    if (state->type == nullptr) {
      PyErr_Clear();
      return false;
    }
  }
  return PyObject_TypeCheck(object, reinterpret_cast<PyTypeObject*>(state->type)) != 0;
}

}  // namespace

void Descriptor::FollowSocket(const interp::Gil&, PyObject* socket) {
  field_ = nullptr;
  if (!IsSocket(socket)) return;
  const int* field = &reinterpret_cast<SocketObject*>(socket)->descriptor;
  if (*field == number_) field_ = field;
}

}  // namespace coloop::io
