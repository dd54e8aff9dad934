// The module `_posixsubprocess` with one function, which asks the policy. A call that is allowed
// goes to Node.js where that runs the children, else to the original, which is loaded only then.
#include "sandbox/posixsubprocess.h"

#include <Python.h>

#include <utility>

#include "interp/ref.h"
#include "sandbox/children.h"
#include "sandbox/events.h"
#include "sandbox/inittab.h"
#include "sandbox/policy.h"
#include "sandbox/refusal.h"

namespace coloop::sandbox {

namespace {

using interp::Owned;

ModuleInit original_init = nullptr;  // null: the original is an extension file
thread_local bool loading_original = false;

struct State {
  PyObject* fork_exec;  // the original's, once it was needed
};

State& StateOf(PyObject* module) { return *static_cast<State*>(PyModule_GetState(module)); }

Owned LoadBuiltin(PyObject* module) {
  const Owned spec(PyObject_GetAttrString(module, "__spec__"));
  auto* definition = reinterpret_cast<PyModuleDef*>(original_init());
  if (!spec || definition == nullptr) return Owned();
  Owned original(PyModule_FromDefAndSpec(definition, spec.get()));
  if (!original || PyModule_ExecDef(original.get(), definition) != 0) return Owned();
  return original;
}

Owned LoadFile() {
  const Owned machinery(PyImport_ImportModule("importlib.machinery"));
  const Owned util(PyImport_ImportModule("importlib.util"));
  const Owned finder(machinery ? PyObject_GetAttrString(machinery.get(), "PathFinder") : nullptr);
  const Owned spec(finder && util
                       ? PyObject_CallMethod(finder.get(), "find_spec", "s", "_posixsubprocess")
                       : nullptr);
  if (!spec) return Owned();
  if (spec.get() == Py_None) {
    PyErr_SetString(PyExc_ImportError, "Python's own _posixsubprocess was not found");
    return Owned();
  }
  loading_original = true;
  Owned original(PyObject_CallMethod(util.get(), "module_from_spec", "O", spec.get()));
  loading_original = false;
  const Owned loader(original ? PyObject_GetAttrString(spec.get(), "loader") : nullptr);
  const Owned done(loader ? PyObject_CallMethod(loader.get(), "exec_module", "O", original.get())
                          : nullptr);
  return done ? std::move(original) : Owned();
}

PyObject* ForkExec(PyObject* module, PyObject* arguments, PyObject* keywords) {
  if (Denied(IdOf("_posixsubprocess.fork_exec"))) {
    return Refuse(IdOf("_posixsubprocess.fork_exec"));
  }
  if (RoutesChildren()) {
    const Owned handler = ForkExecHandler();
    if (!handler) return Refuse(IdOf("_posixsubprocess.fork_exec"));
    return PyObject_Call(handler.get(), arguments, keywords);
  }
  State& state = StateOf(module);
  if (state.fork_exec == nullptr) {
    const Owned original = original_init != nullptr ? LoadBuiltin(module) : LoadFile();
    if (!original) return nullptr;
    state.fork_exec = PyObject_GetAttrString(original.get(), "fork_exec");
    if (state.fork_exec == nullptr) return nullptr;
  }
  return PyObject_Call(state.fork_exec, arguments, keywords);
}

int Traverse(PyObject* module, visitproc visit, void* arg) {
  Py_VISIT(StateOf(module).fork_exec);
  return 0;
}

int Clear(PyObject* module) {
  Py_CLEAR(StateOf(module).fork_exec);
  return 0;
}

PyMethodDef methods[] = {
    {"fork_exec", reinterpret_cast<PyCFunction>(ForkExec), METH_VARARGS | METH_KEYWORDS,
     "Starts a child process if the sandbox policy allows it."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef_Slot slots[] = {
#if PY_VERSION_HEX >= 0x030c0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, nullptr},
};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    "_posixsubprocess",
    "Starts of child processes, guarded by the sandbox.",
    sizeof(State),
    methods,
    slots,
    Traverse,
    Clear,
    nullptr,
};

PyObject* Init() { return PyModuleDef_Init(&definition); }

}  // namespace

bool ShadowForkExec() { return ReplaceBuiltin("_posixsubprocess", Init, &original_init); }

bool LoadingOriginalForkExec() { return loading_original; }

}  // namespace coloop::sandbox
