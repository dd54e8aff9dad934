// The libraries that a shared library names as needed.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace coloop::loader {

struct Needed {
  std::vector<std::string> names;    // DT_NEEDED, in order
  std::vector<std::string> folders;  // DT_RUNPATH or else DT_RPATH, $ORIGIN expanded
};

// Reads the dynamic section of an ELF file of this machine's own kind (elf(5), ld.so(8)).
[[nodiscard]] base::Result<Needed> ReadNeeded(const std::string& path);

}  // namespace coloop::loader
