// Changing a library's relocated slots after the dynamic linker is done with them.
#include "loader/rebind.h"

#include "loader/platform.h"

#if COLOOP_HAS_DEEPBIND && (defined(__x86_64__) || defined(__aarch64__))

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "loader/elf_image.h"

namespace coloop::loader {

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

struct Library {
  void* handle;
  AddressRange range;
};

// The definition in one of the libraries themselves: dlsym also looks into what they need.
void* Definition(const std::vector<Library>& libraries, const char* name) {
  for (const Library& library : libraries) {
    void* address = dlsym(library.handle, name);
    if (address != nullptr && library.range.Contains(address)) return address;
  }
  return nullptr;
}

std::vector<Slot> FindSlots(const ElfImage& python, const ElfImage& executable,
                            const std::vector<Library>& libraries) {
  std::vector<Slot> slots;
  for (const auto& table : python.relocations) {
    for (const ElfW(Rela) & relocation : table) {
      const ElfW(Sym)& symbol = python.symbols[ELF64_R_SYM(relocation.r_info)];
      if (symbol.st_shndx != SHN_UNDEF || !IsAddress(ELF64_R_TYPE(relocation.r_info))) continue;
      auto* place = PointerTo<std::uintptr_t>(python.base + relocation.r_offset);
      const auto addend = static_cast<std::uintptr_t>(relocation.r_addend);
      if (!executable.range.Contains(PointerTo<const void>(*place - addend))) continue;
      void* own = Definition(libraries, python.strings + symbol.st_name);
      if (own != nullptr) slots.push_back({place, reinterpret_cast<std::uintptr_t>(own) + addend});
    }
  }
  return slots;
}

bool Write(const ElfImage& image, const std::vector<Slot>& slots) {
  void* start = PointerTo<void>(image.read_only.start);
  const std::size_t size = image.read_only.end - image.read_only.start;
  if (size != 0 && mprotect(start, size, PROT_READ | PROT_WRITE) != 0) return false;
  for (const Slot& slot : slots) *slot.place = slot.value;
  return size == 0 || mprotect(start, size, PROT_READ) == 0;
}

}  // namespace

bool RebindToOwnLibraries(void* libpython, const std::vector<void*>& handles) {
  if (handles.empty()) return true;
  ElfImage python;
  ElfImage executable;
  void* self = dlopen(nullptr, RTLD_NOW);
  if (!ReadImage(libpython, &python) || !ReadImage(self, &executable)) return false;
  std::vector<Library> libraries;
  for (void* handle : handles) {
    ElfImage image;
    if (!ReadImage(handle, &image)) return false;
    libraries.push_back({handle, image.range});
  }
  dlclose(self);
  return Write(python, FindSlots(python, executable, libraries));
}

}  // namespace coloop::loader

#elif COLOOP_HAS_DEEPBIND

namespace coloop::loader {

bool RebindToOwnLibraries(void*, const std::vector<void*>& handles) { return handles.empty(); }

}  // namespace coloop::loader

#endif
