// Addresses of the functions in symbols.def, in every library that has a version of its own.
#include "sandbox/ctypes_symbols.h"

#include <dlfcn.h>

#include "elf/platform.h"

#if COLOOP_HAS_DEEPBIND
#include <link.h>
#endif

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>
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

EventId EventAt(const void* address) {
  const std::vector<Address>& addresses = Addresses();
  const auto found = std::lower_bound(addresses.begin(), addresses.end(), Address{address, 0});
  return found != addresses.end() && found->first == address ? found->second : kUnknownEvent;
}

#if COLOOP_HAS_DEEPBIND
struct Search {
  const void* handle;
  bool found;
};

// While dl_iterate_phdr looks, no library comes or goes.
int FindHandle(dl_phdr_info*, std::size_t, void* data) {
  auto* search = static_cast<Search*>(data);
  for (const link_map* map = _r_debug.r_map; map != nullptr && !search->found; map = map->l_next) {
    search->found = map == search->handle;
  }
  return 1;
}

// Whoever raises the event by sys.audit gives it the number he likes, which dlsym would follow.
bool IsLibrary(const void* handle) {
  Search search{handle, false};
  dl_iterate_phdr(FindHandle, &search);
  return search.found;
}
#else
bool IsLibrary(const void*) { return true; }
#endif

// A copy of the C library, or another one, has functions of its own under the same names.
bool IsOfCLibrary(void* address) {
  Dl_info info = {};
  if (dladdr(address, &info) == 0 || info.dli_fname == nullptr) return false;
  void* library = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) return false;
  const void* start = dlsym(library, "__libc_start_main");
  Dl_info of_start = {};
  const bool found = start != nullptr && dladdr(start, &of_start) != 0;
  dlclose(library);
  return found && of_start.dli_fbase == info.dli_fbase;
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
  const bool given = handle != nullptr && IsLibrary(handle);
  void* address = dlsym(given ? handle : RTLD_DEFAULT, name);
  // Not there: ctypes finds that out for itself, unless it asks another library than this one.
  if (address == nullptr) return EventAt(dlsym(RTLD_DEFAULT, name));
  const EventId event = EventAt(address);
  if (event != kUnknownEvent) return event;
  const auto* const known =
      std::find_if(std::begin(kSymbols), std::end(kSymbols),
                   [name](const Symbol& it) { return std::strcmp(it.name, name) == 0; });
  return known != std::end(kSymbols) && IsOfCLibrary(address) ? known->event : kUnknownEvent;
}

}  // namespace coloop::sandbox
