// Replacing built-in modules, before Python starts.
#pragma once

struct _object;

namespace coloop::sandbox {

using ModuleInit = _object* (*)();

// Makes `init` the built-in module `name`; gives what it was before (null: no built-in module had
// that name, and one is added). The table's own entry is overwritten where there is one, since the
// first of two counts. False: out of memory.
[[nodiscard]] bool ReplaceBuiltin(const char* name, ModuleInit init, ModuleInit* before);

}  // namespace coloop::sandbox
