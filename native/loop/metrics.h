// Numbers that a loop keeps of its own work, for `loop.metrics()`.
#pragma once

#include <algorithm>
#include <cstdint>

namespace coloop::loop {

// By how much timers were late, in seconds: the loop was busy with something else.
struct Lag {
  double last = 0;
  double longest = 0;
  double total = 0;
  std::uint64_t count = 0;

  void Note(double late) {
    last = late;
    longest = std::max(longest, late);
    total += late;
    ++count;
  }
  [[nodiscard]] double mean() const { return count > 0 ? total / static_cast<double>(count) : 0; }
};

}  // namespace coloop::loop
