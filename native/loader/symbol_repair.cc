// Initialising what copy relocations left behind; see symbol_repair.h.
#include "loader/symbol_repair.h"

#include "elf/platform.h"

#if COLOOP_HAS_DEEPBIND

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <iostream>
#include <locale>
#include <new>  // NOLINT(misc-include-cleaner): placement new
#include <string_view>

#include "elf/image.h"

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

struct LibcData {
  const char* name;
  const void* live;
  std::size_t size;
};

const LibcData kLibcData[] = {
    {"environ", static_cast<const void*>(&environ), sizeof(environ)},
    {"__environ", static_cast<const void*>(&environ), sizeof(environ)},
    {"__timezone", &timezone, sizeof(timezone)},
    {"__tzname", static_cast<const void*>(&tzname), sizeof(tzname)},
};

void CopyLocaleIds() {
  void* self = dlopen(nullptr, RTLD_NOW);
  elf::Image executable;
  if (!ReadImage(self, &executable)) return;
  for (const ElfW(Rela) & relocation : executable.relocations[0]) {
    if (ELF64_R_TYPE(relocation.r_info) != kCopyRelocation) continue;
    const char* name =
        executable.strings + executable.symbols[ELF64_R_SYM(relocation.r_info)].st_name;
    const void* copy = IsLocaleId(name) ? dlsym(RTLD_DEFAULT, name) : nullptr;
    if (copy != nullptr) CopyLocaleId(name, copy);
  }
  dlclose(self);
}

}  // namespace

void RepairCopiedSymbols() {
  GiveBuffer("_ZSt4cout", std::cout);
  GiveBuffer("_ZSt4cerr", std::cerr);
  GiveBuffer("_ZSt4clog", std::clog);
  GiveBuffer("_ZSt3cin", std::cin);
  CopyLocaleIds();
  tzset();  // or there is nothing to copy yet
  for (const LibcData& data : kLibcData) {
    void* original = Original("libc.so.6", data.name);
    if (original != nullptr && original != data.live) std::memmove(original, data.live, data.size);
  }
}

}  // namespace coloop::loader

#else

namespace coloop::loader {

void RepairCopiedSymbols() {}

}  // namespace coloop::loader

#endif
