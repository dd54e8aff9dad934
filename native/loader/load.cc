// The order in which libraries come into the process.
#include "loader/load.h"

#include <dlfcn.h>
#ifdef __linux__
#include <link.h>
#endif

#include <cstring>
#include <mutex>
#include <optional>
#include <vector>

#include "loader/elf_needed.h"
#include "loader/symbol_repair.h"

namespace coloop::loader {

namespace {

std::mutex mutex;
std::string loaded_library;           // guarded by mutex
std::optional<Loaded> loaded_result;  // guarded by mutex

base::Error DlError(const std::string& what) {
  const char* reason = dlerror();
  return base::Error{"ERR_COLOOP_DLOPEN", what + ": " + (reason != nullptr ? reason : "unknown")};
}

#if defined(RTLD_DEEPBIND) && defined(__GLIBC__)

// Libraries that are in the process already, or that must not be bound apart.
bool IsBase(const std::string& name) {
  for (const char* prefix :
       {"libc.", "libm.", "libdl.", "libpthread.", "librt.", "libutil.", "ld-"}) {
    if (name.compare(0, std::strlen(prefix), prefix) == 0) return true;
  }
  return false;
}

// The object that defines `malloc`, if it comes before libc in the search order. The executable has
// an address for it as well, its own PLT entry, whose symbol is undefined.
std::optional<std::string> ReplacedMalloc() {
  link_map* map = nullptr;
  void* self = dlopen(nullptr, RTLD_NOW);
  if (self == nullptr || dlinfo(self, RTLD_DI_LINKMAP, &map) != 0) return std::nullopt;
  for (; map != nullptr; map = map->l_next) {
    const std::string name = map->l_name;
    if (name.find("libc.so") != std::string::npos) return std::nullopt;
    void* handle = name.empty() ? self : dlopen(name.c_str(), RTLD_NOW | RTLD_NOLOAD);
    void* address = handle != nullptr ? dlsym(handle, "malloc") : nullptr;
    Dl_info info{};
    void* entry = nullptr;
    if (address == nullptr || dladdr1(address, &info, &entry, RTLD_DL_SYMENT) == 0) continue;
    link_map* owner = nullptr;
    if (dladdr1(address, &info, reinterpret_cast<void**>(&owner), RTLD_DL_LINKMAP) == 0 ||
        owner != map) {
      continue;
    }
    const auto* symbol = static_cast<const ElfW(Sym)*>(entry);
    if (symbol == nullptr || symbol->st_shndx == SHN_UNDEF) continue;
    return name.empty() ? std::string("the executable") : name;
  }
  return std::nullopt;
}

// A malloc of somebody else's, or a sanitizer, breaks with RTLD_DEEPBIND: memory would be allocated
// by one and freed by another.
std::optional<std::string> Interposer() {
  for (const char* name : {"__asan_init", "__tsan_init", "__msan_init"}) {
    if (dlsym(RTLD_DEFAULT, name) != nullptr) return std::string("a sanitizer is loaded");
  }
  const std::optional<std::string> owner = ReplacedMalloc();
  if (owner.has_value()) return "malloc is replaced by " + *owner;
  return std::nullopt;
}

base::Result<void> LoadNeeded(const std::string& library) {
  base::Result<std::vector<std::string>> needed = ReadNeeded(library);
  if (!needed.ok()) return needed.error();
  for (const std::string& name : needed.value()) {
    if (IsBase(name)) continue;
    if (dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND) == nullptr) {
      return DlError("a library that " + library + " needs could not be loaded");
    }
  }
  return {};
}

#endif

base::Result<Loaded> LoadOnce(const std::string& library, bool plain) {
  Loaded result;
#if defined(RTLD_DEEPBIND) && defined(__GLIBC__)
  const std::optional<std::string> interposer = Interposer();
  if (plain) {
    result.reason = "COLOOP_DLOPEN=plain";
  } else if (interposer.has_value()) {
    result.reason = *interposer;
  } else {
    result.isolated = true;
    result.reason = "RTLD_DEEPBIND is available";
    RepairCopiedSymbols();
    const base::Result<void> needed = LoadNeeded(library);
    if (!needed.ok()) return needed.error();
  }
#else
  (void)plain;
  result.reason = "this system has no RTLD_DEEPBIND";
#endif
  if (dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    return DlError("libpython could not be loaded");
  }
  return result;
}

}  // namespace

base::Result<Loaded> Load(const std::string& library, bool plain) {
  const std::lock_guard<std::mutex> lock(mutex);
  if (loaded_result.has_value()) {
    if (loaded_library == library) return *loaded_result;
    return base::Error{"ERR_COLOOP_OTHER_INTERPRETER", "this process has loaded " + loaded_library +
                                                           " already; " + library +
                                                           " cannot be loaded beside it"};
  }
  base::Result<Loaded> result = LoadOnce(library, plain);
  if (result.ok()) {
    loaded_library = library;
    loaded_result = result.value();
  }
  return result;
}

}  // namespace coloop::loader
