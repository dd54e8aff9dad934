// Checks of our own invariants that stay in release builds.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace coloop::base {

[[noreturn]] inline void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "coloop: check failed: %s at %s:%d\n", condition, file, line);
  std::abort();
}

}  // namespace coloop::base

#define COLOOP_CHECK(condition)                                    \
  do {                                                             \
    if (!(condition)) [[unlikely]] {                               \
      ::coloop::base::CheckFailed(#condition, __FILE__, __LINE__); \
    }                                                              \
  } while (false)

#define COLOOP_UNREACHABLE() ::coloop::base::CheckFailed("unreachable", __FILE__, __LINE__)
