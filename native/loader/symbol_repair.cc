// Initialising what copy relocations left behind; see symbol_repair.h.
#include "loader/symbol_repair.h"

#if defined(__linux__) && defined(__GLIBC__)

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <cstddef>
#include <cstring>
#include <iostream>
#include <locale>
#include <new>
#include <string_view>

namespace coloop::loader {

namespace {

#if defined(__x86_64__)
constexpr unsigned kCopyRelocation = R_X86_64_COPY;
#elif defined(__aarch64__)
constexpr unsigned kCopyRelocation = R_AARCH64_COPY;
#else
constexpr unsigned kCopyRelocation = 0;
#endif

// The original of a symbol in a library that is loaded, or null.
void* Original(const char* library, const char* name) {
  void* handle = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
  return handle != nullptr ? dlsym(handle, name) : nullptr;
}

template <typename Stream>
void GiveBuffer(const char* name, Stream& live) {
  void* original = Original("libstdc++.so.6", name);
  if (original == nullptr || original == static_cast<void*>(&live)) return;
  // libstdc++ has raw memory there, which only the copy was constructed in.
  auto* stream = new (original) Stream(live.rdbuf());
  stream->flags(live.flags());
  stream->tie(live.tie());
}

// Facets are found by an index that the first user of an id gives it.
void CopyLocaleId(const char* name, const void* copy) {
  void* original = Original("libstdc++.so.6", name);
  if (original != nullptr && original != copy) std::memcpy(original, copy, sizeof(std::locale::id));
}

bool IsLocaleId(std::string_view name) {
  return name.starts_with("_ZNSt") && name.ends_with("2idE");
}

struct Dynamic {
  const ElfW(Sym) * symbols = nullptr;
  const char* strings = nullptr;
  const ElfW(Rela) * relocations = nullptr;
  std::size_t size = 0;
};

// The executable is the first object that dl_iterate_phdr reports.
int ReadExecutable(dl_phdr_info* info, std::size_t, void* result) {
  auto* dynamic = static_cast<Dynamic*>(result);
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    if (info->dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
    const auto* entry =
        reinterpret_cast<const ElfW(Dyn)*>(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    for (; entry->d_tag != DT_NULL; ++entry) {
      // glibc has relocated these pointers already.
      const auto address = entry->d_un.d_ptr;
      if (entry->d_tag == DT_SYMTAB) dynamic->symbols = reinterpret_cast<const ElfW(Sym)*>(address);
      if (entry->d_tag == DT_STRTAB) dynamic->strings = reinterpret_cast<const char*>(address);
      if (entry->d_tag == DT_RELA) {
        dynamic->relocations = reinterpret_cast<const ElfW(Rela)*>(address);
      }
      if (entry->d_tag == DT_RELASZ) dynamic->size = entry->d_un.d_val;
    }
  }
  return 1;
}

void CopyLocaleIds() {
  Dynamic dynamic;
  dl_iterate_phdr(ReadExecutable, &dynamic);
  if (dynamic.symbols == nullptr || dynamic.strings == nullptr || dynamic.relocations == nullptr) {
    return;
  }
  for (std::size_t i = 0; i < dynamic.size / sizeof(ElfW(Rela)); ++i) {
    const ElfW(Rela)& relocation = dynamic.relocations[i];
    if (ELF64_R_TYPE(relocation.r_info) != kCopyRelocation) continue;
    const char* name = dynamic.strings + dynamic.symbols[ELF64_R_SYM(relocation.r_info)].st_name;
    const void* copy = IsLocaleId(name) ? dlsym(RTLD_DEFAULT, name) : nullptr;
    if (copy != nullptr) CopyLocaleId(name, copy);
  }
}

}  // namespace

void RepairCopiedSymbols() {
  GiveBuffer("_ZSt4cout", std::cout);
  GiveBuffer("_ZSt4cerr", std::cerr);
  GiveBuffer("_ZSt4clog", std::clog);
  GiveBuffer("_ZSt3cin", std::cin);
  CopyLocaleIds();
  for (const char* name : {"environ", "__environ"}) {
    void* original = Original("libc.so.6", name);
    if (original != nullptr) *static_cast<char***>(original) = environ;
  }
}

}  // namespace coloop::loader

#else

namespace coloop::loader {

void RepairCopiedSymbols() {}

}  // namespace coloop::loader

#endif
