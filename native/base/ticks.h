// The processor's own counter: cheaper than the clock, for those who only want to know that it
// cannot be time yet. It counts from 1 to 5 in a nanosecond.
#pragma once

#include <cstdint>

namespace coloop::base {

// 0 where there is no such counter.
inline std::uint64_t Ticks() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  return 0;
#endif
}

}  // namespace coloop::base
