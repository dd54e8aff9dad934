// The table of built-in modules.
#include "sandbox/inittab.h"

#include <Python.h>

#include <cstring>

namespace coloop::sandbox {

bool ReplaceBuiltin(const char* name, ModuleInit init, ModuleInit* before) {
  *before = nullptr;
  for (struct _inittab* entry = PyImport_Inittab; entry->name != nullptr; ++entry) {
    if (std::strcmp(entry->name, name) != 0) continue;
    *before = entry->initfunc;
    entry->initfunc = init;
    return true;
  }
  return PyImport_AppendInittab(name, init) == 0;
}

}  // namespace coloop::sandbox
