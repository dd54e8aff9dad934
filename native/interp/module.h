// The built-in module `_coloop`. Each layer adds its part before the interpreter starts.
#pragma once

struct _object;

namespace coloop::interp {

class Gil;

// Adds names to the module; false with an exception set when it could not.
using ModulePart = bool (*)(const Gil& gil, _object* module);

// Before Initialize only, in the order in which the parts shall run.
void AddModulePart(ModulePart part);

// Registers `_coloop` in the table of built-in modules. Before Initialize only.
void RegisterModule();

}  // namespace coloop::interp
