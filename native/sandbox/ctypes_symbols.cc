// Addresses of the functions in symbols.def, in every library that has a version of its own.
#include "sandbox/ctypes_symbols.h"

#include <dlfcn.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "sandbox/events.h"

namespace coloop::sandbox {

namespace {

struct Symbol {
  const char* name;
  EventId event;
};

constexpr Symbol kSymbols[] = {
#define COLOOP_SYMBOL(name, event) Symbol{name, IdOf(event)},
#include "sandbox/symbols.def"
#undef COLOOP_SYMBOL
};

// Until glibc 2.34 libpthread and libutil had a fork, a system and a forkpty of their own. Never
// closed: a table of addresses is worth nothing once the library can move.
constexpr const char* kLibraries[] = {"libc.so.6", "libpthread.so.0", "libutil.so.1",
                                      "libSystem.B.dylib"};

using Address = std::pair<const void*, EventId>;
std::vector<Address>& Addresses() {  // sorted; written once, before Python starts
  static std::vector<Address> addresses;
  return addresses;
}

}  // namespace

void ResolveSymbols() {
  // The process itself counts as a library: an executable may have stubs, a preload its wrappers.
  std::vector<void*> handles = {RTLD_DEFAULT};
  for (const char* library : kLibraries) {
    void* handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL);
    if (handle != nullptr) handles.push_back(handle);
  }
  std::vector<Address>& addresses = Addresses();
  addresses.clear();
  for (void* handle : handles) {
    for (const Symbol& symbol : kSymbols) {
      const void* address = dlsym(handle, symbol.name);
      if (address != nullptr) addresses.emplace_back(address, symbol.event);
    }
  }
  std::sort(addresses.begin(), addresses.end());
}

EventId ClassifySymbol(void* handle, const char* name) {
  const void* address = dlsym(handle != nullptr ? handle : RTLD_DEFAULT, name);
  if (address == nullptr) return kUnknownEvent;  // ctypes finds that out for itself
  const std::vector<Address>& addresses = Addresses();
  const auto found = std::lower_bound(addresses.begin(), addresses.end(), Address{address, 0});
  return found != addresses.end() && found->first == address ? found->second : kUnknownEvent;
}

}  // namespace coloop::sandbox
