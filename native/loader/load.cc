// The order in which libraries come into the process.
#include "loader/load.h"

#include <dlfcn.h>
#include <stdlib.h>

#include "elf/platform.h"
#if COLOOP_HAS_DEEPBIND
#include <elf.h>
#include <link.h>
#include <unistd.h>
#endif

#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "elf/image.h"
#include "loader/elf_needed.h"
#include "loader/rebind.h"
#include "loader/symbol_repair.h"

namespace coloop::loader {

namespace {

std::mutex mutex;
std::string loaded_library;           // guarded by mutex
std::optional<Loaded> loaded_result;  // guarded by mutex
std::string started_interpreter;      // guarded by mutex

// Two paths of one file, links resolved, are one library.
std::string RealPath(const std::string& path) {
  char* resolved = realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return path;
  std::string result = resolved;
  free(resolved);
  return result;
}

#if COLOOP_HAS_DEEPBIND

constexpr std::string_view kLibc = "libc.so.";

// Libraries that are in the process already, or that must not be bound apart.
bool IsBase(const std::string& name) {
  for (const char* prefix :
       {"libc.", "libm.", "libdl.", "libpthread.", "librt.", "libutil.", "ld-"}) {
    if (name.compare(0, std::strlen(prefix), prefix) == 0) return true;
  }
  return false;
}

// One more reference to a library, given back.
class Handle {
 public:
  explicit Handle(const char* name, int flags) : handle_(dlopen(name, flags)) {}
  Handle(const Handle&) = delete;
  Handle(Handle&&) = delete;
  Handle& operator=(const Handle&) = delete;
  Handle& operator=(Handle&&) = delete;
  ~Handle() {
    if (handle_ != nullptr) dlclose(handle_);
  }

  [[nodiscard]] void* Get() const { return handle_; }

 private:
  void* handle_;
};

bool Defines(const link_map* map, const Handle& handle, const char* symbol_name) {
  void* address = handle.Get() != nullptr ? dlsym(handle.Get(), symbol_name) : nullptr;
  // dlsym looks into what a library needs as well.
  if (address == nullptr || !elf::RangeOf(*map).Contains(address)) return false;
  Dl_info info{};
  void* entry = nullptr;
  if (dladdr1(address, &info, &entry, RTLD_DL_SYMENT) == 0 || entry == nullptr) return false;
  // The executable has an address for what it only calls, its own PLT entry: an undefined symbol.
  return static_cast<const ElfW(Sym)*>(entry)->st_shndx != SHN_UNDEF;
}

// The object that defines `malloc`, if it comes before libc in the search order.
std::optional<std::string> ReplacedMalloc() {
  const Handle self(nullptr, RTLD_NOW);
  link_map* map = nullptr;
  if (self.Get() == nullptr || dlinfo(self.Get(), RTLD_DI_LINKMAP, static_cast<void*>(&map)) != 0)
    return std::nullopt;
  if (Defines(map, self, "malloc")) return "the executable";
  for (map = map->l_next; map != nullptr; map = map->l_next) {
    std::string name = map->l_name;
    if (name.compare(name.rfind('/') + 1, kLibc.size(), kLibc) == 0) return std::nullopt;
    if (Defines(map, Handle(name.c_str(), RTLD_NOW | RTLD_NOLOAD), "malloc")) return name;
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

// What cannot be loaded here is left to libpython's own loading, which says best what is missing.
void* LoadApart(const std::string& name, const std::vector<std::string>& folders) {
  constexpr int kFlags = RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND;
  for (const std::string& folder : folders) {
    std::string path = folder;
    path.append("/").append(name);
    void* handle = access(path.c_str(), R_OK) == 0 ? dlopen(path.c_str(), kFlags) : nullptr;
    if (handle != nullptr) return handle;
  }
  return dlopen(name.c_str(), kFlags);
}

// The libraries that libpython needs stay for the life of the process, as libpython does.
base::Result<std::vector<void*>> LoadNeeded(const std::string& library, Loaded* result) {
  base::Result<Needed> needed = ReadNeeded(library);
  if (!needed.ok()) return needed.error();
  std::vector<void*> handles;
  for (const std::string& name : needed.value().names) {
    void* handle = IsBase(name) ? nullptr : LoadApart(name, needed.value().folders);
    if (handle == nullptr) continue;
    handles.push_back(handle);
    result->preloaded.push_back(name);
  }
  return handles;
}

#endif

base::Result<void*> LoadPython(const std::string& library) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (handle != nullptr) return handle;
  const char* reason = dlerror();  // NOLINT(concurrency-mt-unsafe): a thread has its own
  return base::Error{"ERR_COLOOP_DLOPEN",
                     "libpython could not be loaded: " +
                         std::string(reason != nullptr ? reason : "no reason is given")};
}

base::Result<Loaded> LoadPlain(const std::string& library, const std::string& reason) {
  const base::Result<void*> python = LoadPython(library);
  if (!python.ok()) return python.error();
  return Loaded{false, reason, {}};
}

base::Result<Loaded> LoadOnce(const std::string& library, bool plain) {
  if (plain) return LoadPlain(library, "COLOOP_DLOPEN=plain");
#if COLOOP_HAS_DEEPBIND
  const std::optional<std::string> interposer = Interposer();
  if (interposer.has_value()) return LoadPlain(library, *interposer);
  Loaded result{true, "RTLD_DEEPBIND is available", {}};
  RepairCopiedSymbols();
  base::Result<std::vector<void*>> needed = LoadNeeded(library, &result);
  if (!needed.ok()) return needed.error();
  base::Result<void*> python = LoadPython(library);
  if (!python.ok()) return python.error();
  if (!RebindToOwnLibraries(python.value(), needed.value())) {
    result.reason += "; built-in modules share the executable's libraries";
  }
  return result;
#else
  return LoadPlain(library, "this system has no RTLD_DEEPBIND");
#endif
}

}  // namespace

base::Result<Loaded> Load(const std::string& library, bool plain) {
  const std::string real_path = RealPath(library);
  const std::lock_guard<std::mutex> lock(mutex);
  if (loaded_result.has_value()) {
    if (loaded_library == real_path) return *loaded_result;
    return base::Error{"ERR_COLOOP_OTHER_INTERPRETER", "this process has loaded " + loaded_library +
                                                           " already; " + real_path +
                                                           " cannot be loaded beside it"};
  }
  base::Result<Loaded> result = LoadOnce(library, plain);
  if (result.ok()) {
    loaded_library = real_path;
    loaded_result = result.value();
  }
  return result;
}

void NoteStarted(const std::string& interpreter) {
  const std::lock_guard<std::mutex> lock(mutex);
  if (started_interpreter.empty()) started_interpreter = interpreter;
}

std::string Started() {
  const std::lock_guard<std::mutex> lock(mutex);
  return started_interpreter;
}

}  // namespace coloop::loader
