// Sharing contexts.
#include "loop/context.h"

#include <Python.h>

#include "interp/gil.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"

namespace coloop::loop {

using interp::Owned;

namespace {

struct Contexts {
  // Of the pointer to a Context's variables: an immutable mapping, which a copy has in common with
  // its original until one of them sets a variable. 0: not found.
  Py_ssize_t variables = 0;
  // The last one that was handed out, never entered.
  PyObject* last_shared = nullptr;
  // One to enter, that nobody has.
  PyObject* spare = nullptr;
};
interp::PerInterpreter<Contexts> contexts;

PyObject* VariablesOf(PyObject* context, Py_ssize_t at) {
  return *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(context) + at);
}

bool HaveTheSame(const Contexts& its, PyObject* a, PyObject* b) {
  return VariablesOf(a, its.variables) == VariablesOf(b, its.variables);
}

}  // namespace

// Contexts are opaque, and their words are only compared: the one that a copy has in common with
// its original, and no longer when a variable was set in it.
bool InitContexts(const interp::Gil&) {
  Contexts& its = *contexts;
  if (its.variables != 0) return true;
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
    its.variables = at;
    return true;
  }
  return true;
}

Owned ShareCurrentContext(const interp::Gil&) {
  Contexts& its = *contexts;
  PyObject* current = PyThreadState_Get()->context;
  if (its.variables != 0 && current != nullptr && its.last_shared != nullptr &&
      HaveTheSame(its, current, its.last_shared)) {
    return Owned::NewRef(its.last_shared);
  }
  Owned copy(PyContext_CopyCurrent());
  if (copy) Py_XSETREF(its.last_shared, Owned::NewRef(copy.get()).release());
  return copy;
}

Owned BorrowContext(const interp::Gil&, PyObject* shared) {
  Contexts& its = *contexts;
  if (its.spare != nullptr && HaveTheSame(its, its.spare, shared)) {
    PyObject* taken = its.spare;
    its.spare = nullptr;
    return Owned(taken);
  }
  return Owned(PyContext_Copy(shared));
}

bool ReturnContext(const interp::Gil&, PyObject* shared, PyObject* borrowed, long references) {
  Contexts& its = *contexts;
  if (its.variables == 0 || Py_REFCNT(borrowed) != references ||
      !HaveTheSame(its, borrowed, shared)) {
    return false;
  }
  Py_XSETREF(its.spare, Owned::NewRef(borrowed).release());
  return true;
}

void DropContexts(const interp::Gil&) {
  Contexts& its = *contexts;
  Py_CLEAR(its.last_shared);
  Py_CLEAR(its.spare);
}

}  // namespace coloop::loop
