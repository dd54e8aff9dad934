#include "loader/rebind.h"

#include <vector>

#include "elf/platform.h"

#if COLOOP_HAS_SLOTS

#include <dlfcn.h>

#include "elf/image.h"
#include "elf/slots.h"

namespace coloop::loader {

namespace {

struct Library {
  void* handle;
  elf::AddressRange range;
};

// The definition in one of the libraries themselves: dlsym also looks into what they need.
const void* Definition(const std::vector<Library>& libraries, const char* name) {
  for (const Library& library : libraries) {
    const void* address = dlsym(library.handle, name);
    if (address != nullptr && library.range.Contains(address)) return address;
  }
  return nullptr;
}

}  // namespace

bool RebindToOwnLibraries(void* libpython, const std::vector<void*>& handles) {
  if (handles.empty()) return true;
  elf::Image python;
  elf::Image executable;
  void* self = dlopen(nullptr, RTLD_NOW);
  if (!ReadImage(libpython, &python) || !ReadImage(self, &executable)) return false;
  std::vector<Library> libraries;
  for (void* handle : handles) {
    elf::Image image;
    if (!ReadImage(handle, &image)) return false;
    libraries.push_back({handle, image.range});
  }
  dlclose(self);
  return elf::Rebind(python, [&](const char* name, const void* bound) {
    return executable.range.Contains(bound) ? Definition(libraries, name) : nullptr;
  });
}

}  // namespace coloop::loader

#else

namespace coloop::loader {

bool RebindToOwnLibraries(void*, const std::vector<void*>& handles) { return handles.empty(); }

}  // namespace coloop::loader

#endif
