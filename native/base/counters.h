// Live objects by kind, in every build. Tests compare them before and after; `metrics()` shows
// them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace coloop::base {

enum class Live : std::size_t {
  kPyProxy,   // Python objects held by JavaScript proxies
  kJsRef,     // JavaScript values held by Python objects
  kDeferred,  // promises not settled yet
  kBuffer,    // ArrayBuffers pinned by a memoryview, Python buffers pinned by a view
  kWatch,     // watched descriptors
  kTimer,     // timers that are not cancelled
  kLoop,      // native loops
  kUvHandle,  // open libuv handles of ours
  kCount,
};

inline constexpr std::array<const char*, static_cast<std::size_t>(Live::kCount)> kLiveNames = {
    "pyProxies", "jsRefs", "deferreds", "buffers", "watches", "timers", "loops", "uvHandles"};

inline std::array<std::atomic<std::int64_t>, static_cast<std::size_t>(Live::kCount)>
    live_counters{};

inline void CountLive(Live kind, std::int64_t delta) {
  live_counters[static_cast<std::size_t>(kind)].fetch_add(delta, std::memory_order_relaxed);
}

// Interpreters with GILs of their own count as well. Set with the one GIL there is held.
inline std::atomic<bool> many_gils{false};

// Of a kind that is counted with a GIL held only, where it is hot.
inline void CountLiveHeld(Live kind, std::int64_t delta) {
  if (many_gils.load(std::memory_order_relaxed)) {
    CountLive(kind, delta);
    return;
  }
  std::atomic<std::int64_t>& counter = live_counters[static_cast<std::size_t>(kind)];
  counter.store(counter.load(std::memory_order_relaxed) + delta, std::memory_order_relaxed);
}

[[nodiscard]] inline std::int64_t LiveCount(Live kind) {
  return live_counters[static_cast<std::size_t>(kind)].load(std::memory_order_relaxed);
}

}  // namespace coloop::base
