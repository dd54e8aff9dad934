#include "io/context_scope.h"

#include <Python.h>

#include "interp/error.h"
#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::io {

using interp::Gil;
using interp::Owned;

bool ContextScope::Enter() const { return PyContext_Enter(context_.get()) == 0; }

bool ContextScope::Exit(const Gil& gil, bool done) const {
  if (done) return PyContext_Exit(context_.get()) == 0;
  const Owned exception = interp::TakeException(gil);
  if (PyContext_Exit(context_.get()) != 0) PyErr_Clear();
  interp::RaiseException(gil, exception.get());
  return false;
}

}  // namespace coloop::io
