// Sharing contexts.
#include "loop/context.h"

#include <Python.h>

#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::loop {

using interp::Owned;

namespace {

// Of the pointer to a Context's variables: an immutable mapping, which a copy has in common with
// its original until one of them sets a variable. 0: not found.
Py_ssize_t variables = 0;
// The last one that was handed out, never entered.
PyObject* last_shared = nullptr;
// One to enter, that nobody has.
PyObject* spare = nullptr;

PyObject* VariablesOf(PyObject* context, Py_ssize_t at) {
  return *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(context) + at);
}

bool HaveTheSame(PyObject* a, PyObject* b) {
  return VariablesOf(a, variables) == VariablesOf(b, variables);
}

}  // namespace

// Contexts are opaque, and their words are only compared: the one that a copy has in common with
// its original, and no longer when a variable was set in it.
bool InitContexts(const interp::Gil&) {
  if (variables != 0) return true;
  const Owned context(PyContext_New());
  const Owned variable(PyContextVar_New("coloop", nullptr));
  if (!context || !variable || PyContext_Enter(context.get()) != 0) return false;
  const Owned first(PyContextVar_Set(variable.get(), Py_True));
  const Owned copy(PyContext_CopyCurrent());
  const Owned second(PyContextVar_Set(variable.get(), Py_False));
  const Owned changed(PyContext_CopyCurrent());
  if (PyContext_Exit(context.get()) != 0 || !first || !copy || !second || !changed) return false;
  const Owned again(PyContext_Copy(copy.get()));
  if (!again) return false;
  const auto word = static_cast<Py_ssize_t>(sizeof(PyObject*));
  for (Py_ssize_t at = sizeof(PyObject); at + word <= Py_TYPE(copy.get())->tp_basicsize;
       at += word) {
    const PyObject* value = VariablesOf(copy.get(), at);
    if (value == nullptr || value != VariablesOf(again.get(), at) ||
        value == VariablesOf(changed.get(), at) ||
        VariablesOf(changed.get(), at) != VariablesOf(context.get(), at)) {
      continue;
    }
    variables = at;
    return true;
  }
  return true;
}

Owned ShareCurrentContext(const interp::Gil&) {
  PyObject* current = PyThreadState_Get()->context;
  if (variables != 0 && current != nullptr && last_shared != nullptr &&
      HaveTheSame(current, last_shared)) {
    return Owned::NewRef(last_shared);
  }
  Owned copy(PyContext_CopyCurrent());
  if (copy) Py_XSETREF(last_shared, Owned::NewRef(copy.get()).release());
  return copy;
}

Owned BorrowContext(const interp::Gil&, PyObject* shared) {
  if (spare != nullptr && HaveTheSame(spare, shared)) {
    PyObject* taken = spare;
    spare = nullptr;
    return Owned(taken);
  }
  return Owned(PyContext_Copy(shared));
}

bool ReturnContext(const interp::Gil&, PyObject* shared, PyObject* borrowed, long references) {
  if (variables == 0 || Py_REFCNT(borrowed) != references || !HaveTheSame(borrowed, shared)) {
    return false;
  }
  Py_XSETREF(spare, Owned::NewRef(borrowed).release());
  return true;
}

void DropContexts(const interp::Gil&) {
  Py_CLEAR(last_shared);
  Py_CLEAR(spare);
}

}  // namespace coloop::loop
