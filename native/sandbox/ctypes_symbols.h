// C functions that ctypes must not look up, known by their addresses.
#pragma once

#include <cstdint>

#include "sandbox/events.h"

namespace coloop::sandbox {

// Resolves the table of symbols.def. Once, before Python starts.
void ResolveSymbols();

// The event of which the symbol `name` in the loaded library `handle` (dlopen's) is a case, or
// kUnknownEvent. Without a handle (null), the C library's own.
[[nodiscard]] EventId ClassifySymbol(void* handle, const char* name);

}  // namespace coloop::sandbox
