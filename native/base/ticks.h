// The processor itself, for those who cannot afford the kernel.
#pragma once

#include <cstdint>

namespace coloop::base {

// Its own counter: cheaper than the clock, where one only wants to know that it cannot be time yet.
// It counts from 1 to 5 in a nanosecond. 0 where there is no such counter.
inline std::uint64_t Ticks() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  return 0;
#endif
}

// Between two looks at what another thread will write.
inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("isb");
#endif
}

}  // namespace coloop::base
