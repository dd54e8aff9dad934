// The slots are on pages that the linker made read-only when it was done (PT_GNU_RELRO).
#include "elf/slots.h"

#include "elf/platform.h"

#if COLOOP_HAS_SLOTS

#include <elf.h>
#include <link.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "elf/image.h"

namespace coloop::elf {

namespace {

#ifdef __x86_64__
constexpr std::uint32_t kAddressTypes[] = {R_X86_64_GLOB_DAT, R_X86_64_JUMP_SLOT, R_X86_64_64};
#else
constexpr std::uint32_t kAddressTypes[] = {R_AARCH64_GLOB_DAT, R_AARCH64_JUMP_SLOT,
                                           R_AARCH64_ABS64};
#endif

struct Slot {
  std::uintptr_t* place;
  std::uintptr_t value;
};

bool IsAddress(std::uint32_t type) {
  for (const std::uint32_t known : kAddressTypes) {
    if (type == known) return true;
  }
  return false;
}

bool Write(const Image& image, const std::vector<Slot>& slots) {
  if (slots.empty()) return true;
  void* start = PointerTo<void>(image.read_only.start);
  const std::size_t size = image.read_only.end - image.read_only.start;
  if (size != 0 && mprotect(start, size, PROT_READ | PROT_WRITE) != 0) return false;
  for (const Slot& slot : slots) *slot.place = slot.value;
  return size == 0 || mprotect(start, size, PROT_READ) == 0;
}

}  // namespace

bool Rebind(const Image& image,
            const std::function<const void*(const char* name, const void* bound)>& choose) {
  std::vector<Slot> slots;
  for (const auto& table : image.relocations) {
    for (const ElfW(Rela) & relocation : table) {
      const ElfW(Sym)& symbol = image.symbols[ELF64_R_SYM(relocation.r_info)];
      if (symbol.st_shndx != SHN_UNDEF || !IsAddress(ELF64_R_TYPE(relocation.r_info))) continue;
      auto* place = PointerTo<std::uintptr_t>(image.base + relocation.r_offset);
      const auto addend = static_cast<std::uintptr_t>(relocation.r_addend);
      const void* chosen =
          choose(image.strings + symbol.st_name, PointerTo<const void>(*place - addend));
      if (chosen == nullptr) continue;
      slots.push_back({place, reinterpret_cast<std::uintptr_t>(chosen) + addend});
    }
  }
  return Write(image, slots);
}

}  // namespace coloop::elf

#endif
