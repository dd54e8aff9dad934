// Giving libpython its own libraries.
#pragma once

#include <vector>

namespace coloop::loader {

// A module that is built into libpython (Debian: zlib) calls the executable's functions where that
// exports the same names, and RTLD_DEEPBIND on libpython would give it a dead `environ`. So what
// libpython has bound to the executable, but one of the libraries of `handles` (loaded apart)
// defines, is bound to that library.
[[nodiscard]] bool RebindToOwnLibraries(void* libpython, const std::vector<void*>& handles);

}  // namespace coloop::loader
