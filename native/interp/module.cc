// The built-in module `_coloop`: an empty module that the layers fill.
#include "interp/module.h"

#include <Python.h>

#include <vector>

#include "base/check.h"
#include "interp/gil.h"
#include "interp/per_interpreter.h"

namespace coloop::interp {

namespace {

std::vector<ModulePart>& Parts() {
  static std::vector<ModulePart> parts;
  return parts;
}

int Execute(PyObject* module) {
  if (!IsKnownInterpreter()) {
    PyErr_SetString(PyExc_ImportError,
                    "coloop works in interpreters that Node.js started, not in those of Python's "
                    "own means; see the option `interpreter` of Python.start()");
    return -1;
  }
  const Gil gil = Gil::FromPython();
  for (const ModulePart part : Parts()) {
    if (!part(gil, module)) return -1;
  }
  return 0;
}

PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(Execute)},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, nullptr},
};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    "_coloop",
    "The native half of coloop.",
    0,
    nullptr,
    slots,
    nullptr,
    nullptr,
    nullptr,
};

PyObject* Init() { return PyModuleDef_Init(&definition); }

}  // namespace

void AddModulePart(ModulePart part) { Parts().push_back(part); }

void RegisterModule() { COLOOP_CHECK(PyImport_AppendInittab("_coloop", Init) == 0); }

}  // namespace coloop::interp
