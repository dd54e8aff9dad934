// Program headers and the dynamic section in memory (elf(5)).
#include "elf/image.h"

#include "elf/platform.h"

#if COLOOP_HAS_DEEPBIND

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace coloop::elf {

namespace {

struct Search {
  const link_map* map;
  AddressRange range;
  AddressRange read_only;
};

// The map that belongs to an entry is the one whose PT_DYNAMIC is the entry's.
bool Belongs(const dl_phdr_info& info, const link_map& map) {
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info.dlpi_phdr[i];
    if (segment.p_type == PT_DYNAMIC) {
      return info.dlpi_addr + segment.p_vaddr == reinterpret_cast<std::uintptr_t>(map.l_ld);
    }
  }
  return false;
}

int ReadSegments(dl_phdr_info* info, std::size_t, void* argument) {
  auto* search = static_cast<Search*>(argument);
  if (!Belongs(*info, *search->map)) return 0;
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  search->range = {UINTPTR_MAX, 0};
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    const std::uintptr_t start = info->dlpi_addr + segment.p_vaddr;
    const std::uintptr_t end = start + segment.p_memsz;
    if (segment.p_type == PT_LOAD) {
      search->range = {std::min(search->range.start, start), std::max(search->range.end, end)};
    } else if (segment.p_type == PT_GNU_RELRO) {
      search->read_only = {start / page * page, end / page * page};  // as glibc rounds it
    }
  }
  return 1;
}

}  // namespace

AddressRange RangeOf(const link_map& map) {
  Search search{&map, {}, {}};
  dl_iterate_phdr(ReadSegments, &search);
  return search.range;
}

bool ReadImage(void* handle, Image* image) {
  link_map* map = nullptr;
  if (handle == nullptr || dlinfo(handle, RTLD_DI_LINKMAP, static_cast<void*>(&map)) != 0)
    return false;
  Search search{map, {}, {}};
  if (dl_iterate_phdr(ReadSegments, &search) == 0) return false;
  image->base = map->l_addr;
  image->range = search.range;
  image->read_only = search.read_only;
  const ElfW(Rela) * tables[2] = {};
  std::size_t sizes[2] = {};
  for (const ElfW(Dyn)* entry = map->l_ld; entry->d_tag != DT_NULL; ++entry) {
    // glibc relocates these pointers in place, unless the section is read-only.
    const std::uintptr_t value = entry->d_un.d_ptr;
    const std::uintptr_t address = value < map->l_addr ? value + map->l_addr : value;
    switch (entry->d_tag) {
      case DT_SYMTAB:
        image->symbols = PointerTo<const ElfW(Sym)>(address);
        break;
      case DT_STRTAB:
        image->strings = PointerTo<const char>(address);
        break;
      case DT_RELA:
        tables[0] = PointerTo<const ElfW(Rela)>(address);
        break;
      case DT_RELASZ:
        sizes[0] = value;
        break;
      case DT_JMPREL:
        tables[1] = PointerTo<const ElfW(Rela)>(address);
        break;
      case DT_PLTRELSZ:
        sizes[1] = value;
        break;
      default:
        break;
    }
  }
  for (std::size_t i = 0; i < image->relocations.size(); ++i) {
    if (tables[i] != nullptr) image->relocations[i] = {tables[i], sizes[i] / sizeof(ElfW(Rela))};
  }
  return image->symbols != nullptr && image->strings != nullptr;
}

}  // namespace coloop::elf

#endif
