// A library or the executable as the dynamic linker has it in memory.
#pragma once

#include "elf/platform.h"

#if COLOOP_HAS_DEEPBIND

#include <link.h>

#include <array>
#include <cstdint>
#include <span>

namespace coloop::elf {

struct AddressRange {
  std::uintptr_t start = 0;
  std::uintptr_t end = 0;

  [[nodiscard]] bool Contains(const void* address) const {
    const auto value = reinterpret_cast<std::uintptr_t>(address);
    return start <= value && value < end;
  }
};

// The structures of ELF hold addresses as numbers.
template <typename T>
[[nodiscard]] T* PointerTo(std::uintptr_t address) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  return reinterpret_cast<T*>(address);
}

struct Image {
  ElfW(Addr) base = 0;
  AddressRange range;
  AddressRange read_only;  // whole pages, made read-only after relocation (PT_GNU_RELRO)
  const ElfW(Sym) * symbols = nullptr;
  const char* strings = nullptr;
  std::array<std::span<const ElfW(Rela)>, 2> relocations;  // DT_RELA, DT_JMPREL
};

// Reads the image of a handle of dlopen's; false if there is none or it is not complete.
[[nodiscard]] bool ReadImage(void* handle, Image* image);

// The part for a caller that knows no more than the linker's entry.
[[nodiscard]] AddressRange RangeOf(const link_map& map);

}  // namespace coloop::elf

#endif
