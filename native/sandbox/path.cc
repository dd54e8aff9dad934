// realpath(3), for paths of which the end may not exist and may be a link that dangles.
#include "sandbox/path.h"

#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>

namespace coloop::sandbox {

namespace {

constexpr int kMaxLinks = 40;  // as the kernel's

[[nodiscard]] bool Join(const char* folder, const char* name, PathBuffer& joined) {
  const bool root = std::strcmp(folder, "/") == 0;
  const int length = std::snprintf(joined, sizeof joined, "%s/%s", root ? "" : folder, name);
  return length > 0 && static_cast<std::size_t>(length) < sizeof joined;
}

[[nodiscard]] bool ReadLink(const char* path, PathBuffer& target) {
  const ssize_t length = readlink(path, target, sizeof target - 1);
  if (length < 0) return false;
  target[length] = '\0';
  return true;
}

[[nodiscard]] bool FolderOf(int descriptor, PathBuffer& folder) {
  char name[32];
  std::snprintf(name, sizeof name, "/proc/self/fd/%d", descriptor);
  return ReadLink(name, folder) && folder[0] == '/';
}

bool HasDots(const char* path) {
  for (const char* at = path; (at = std::strstr(at, "..")) != nullptr; at += 2) {
    if ((at == path || at[-1] == '/') && (at[2] == '/' || at[2] == '\0')) return true;
  }
  return false;
}

void DropTrailingSlashes(char* path) {
  std::size_t length = std::strlen(path);
  while (length > 1 && path[length - 1] == '/') path[--length] = '\0';
}

// `path` is absolute and some of its end does not exist: the part that does, resolved, and the
// rest.
[[nodiscard]] bool ResolveParent(const PathBuffer& path, PathBuffer& resolved) {
  PathBuffer head;
  std::memcpy(head, path, sizeof head);
  for (char* slash = std::strrchr(head, '/'); slash != nullptr; slash = std::strrchr(head, '/')) {
    const char* rest = path + (slash - head) + 1;
    if (HasDots(rest)) return false;
    *slash = '\0';
    PathBuffer folder;
    if (realpath(slash == head ? "/" : head, folder) != nullptr) {
      return Join(folder, rest, resolved);
    }
    if (errno != ENOENT) return false;
  }
  return false;
}

[[nodiscard]] bool IsDot(const char* path) {
  const char* last = std::strrchr(path, '/') + 1;
  return std::strcmp(last, ".") == 0 || std::strcmp(last, "..") == 0;
}

[[nodiscard]] bool MakeAbsolute(const char* path, int folder, PathBuffer& absolute) {
  if (path[0] == '\0' || std::strlen(path) >= sizeof absolute) return false;
  if (path[0] == '/') {
    std::strcpy(absolute, path);  // NOLINT(clang-analyzer-security.insecureAPI.strcpy): it fits
    return true;
  }
  PathBuffer base;
  const bool known = folder < 0 ? getcwd(base, sizeof base) != nullptr : FolderOf(folder, base);
  return known && Join(base, path, absolute);
}

}  // namespace

bool ResolvePath(const char* path, int folder, Ending ending, PathBuffer& resolved) {
  PathBuffer work;
  if (!MakeAbsolute(path, folder, work)) return false;
  DropTrailingSlashes(work);
  const bool root = std::strcmp(work, "/") == 0;
  if (ending == Ending::kLink && !root && !IsDot(work)) return ResolveParent(work, resolved);
  for (int links = 0; links < kMaxLinks; ++links) {
    if (realpath(work, resolved) != nullptr) return true;
    if (errno != ENOENT || !ResolveParent(work, resolved)) return false;
    // A link whose target does not exist: creating the file would create the target.
    PathBuffer target;
    if (!ReadLink(resolved, target)) return true;
    char* slash = std::strrchr(resolved, '/');
    *slash = '\0';
    if (target[0] == '/') {
      std::memcpy(work, target, sizeof work);
    } else if (!Join(resolved, target, work)) {
      return false;
    }
    DropTrailingSlashes(work);
  }
  return false;
}

bool IsWithin(const char* resolved, const char* entry) {
  const std::size_t length = std::strlen(entry);
  if (std::strncmp(resolved, entry, length) != 0) return false;
  return entry[length - 1] == '/' || resolved[length] == '/' || resolved[length] == '\0';
}

}  // namespace coloop::sandbox
