// Changing a library's relocated slots after the dynamic linker is done with them.
#pragma once

#include "elf/platform.h"

#if COLOOP_HAS_SLOTS

#include <cstdint>
#include <functional>

#include "elf/image.h"

namespace coloop::elf {

// Shows `choose` the name of each symbol that the library imports and what it is bound to, and
// binds it to what that returns; null leaves it. False if the memory cannot be written.
[[nodiscard]] bool Rebind(
    const Image& image,
    const std::function<const void*(const char* name, const void* bound)>& choose);

}  // namespace coloop::elf

#endif
