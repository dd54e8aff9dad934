// How much of this thread's stack is left. V8 looks after itself; Python, which JavaScript may call
// from near the end, counts its calls and knows nothing of a Worker's small stack.
#pragma once

#include <pthread.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/thread_model.h"

namespace coloop::base {

// What Python's own limits of recursion and its parser may use.
inline constexpr std::size_t kPythonStack = std::size_t{2} * 1024 * 1024;

// The address that calls of Python start above: kPythonStack from the end, or half of a stack that
// is smaller than two of those. 0 where the thread's stack is not known.
[[nodiscard]] inline std::uintptr_t FindStackLimit() {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return 0;
  void* end = nullptr;
  std::size_t size = 0;
  const bool known = pthread_attr_getstack(&attributes, &end, &size) == 0;
  pthread_attr_destroy(&attributes);
  return known ? reinterpret_cast<std::uintptr_t>(end) + std::min(kPythonStack, size / 2) : 0;
}

// 1: not looked for yet.
COLOOP_THREAD_MODEL inline constinit thread_local std::uintptr_t stack_limit = 1;

[[nodiscard]] inline bool HasPythonStack() {
  if (stack_limit == 1) stack_limit = FindStackLimit();
  // Not the address of a variable, which AddressSanitizer keeps elsewhere.
  return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) > stack_limit;
}

}  // namespace coloop::base
