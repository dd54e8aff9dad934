// The libraries that a shared library names as needed.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace coloop::loader {

// DT_NEEDED of an ELF file of this machine's own class, in order (elf(5)).
[[nodiscard]] base::Result<std::vector<std::string>> ReadNeeded(const std::string& path);

}  // namespace coloop::loader
