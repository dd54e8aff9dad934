// When it is worth to look for another thread's call for a while before a wait: the kernel takes
// about 10 us to wake a thread that sleeps, and a call that comes sooner is served at once. It is
// while such calls end the waits, one after another and soon: the results of an executor, a thread
// that asks and waits for its answer.
#pragma once

#include <algorithm>
#include <cstdint>

namespace coloop::loop {

class Spin {
 public:
  // False: a wait need not be measured, and is not to begin with a look.
  [[nodiscard]] bool expected() const { return woken_last_; }
  // Nanoseconds that a wait may begin with looking; 0: it sleeps at once.
  [[nodiscard]] std::uint64_t budget() const { return row_ >= needed_ ? budget_ : 0; }

  // A wait that was not measured ended: by a thread's call or by something else.
  void Ended(bool woken) {
    woken_last_ = woken;
    if (!woken) row_ = 0;
  }
  // One that was, after so many nanoseconds, of which it looked `looked` at most. What was looked
  // for in vain is looked for again after a longer row of calls only.
  void EndedAfter(std::uint64_t nanoseconds, std::uint64_t looked, bool woken) {
    const bool in_vain = looked != 0 && (!woken || nanoseconds > looked);
    woken_last_ = woken;
    if (in_vain) {
      needed_ = std::min(2 * needed_, kLongestRow);
    } else if (looked != 0) {
      needed_ = std::max(needed_ - 1, kLeastRow);
    }
    row_ = woken && !in_vain && nanoseconds <= kLongest ? std::min(row_ + 1, kLongestRow) : 0;
    budget_ = std::clamp(2 * nanoseconds, kShortest, kLongest);
  }

  static constexpr std::uint64_t kShortest = 10'000;  // as long as the kernel takes
  static constexpr std::uint64_t kLongest = 50'000;
  static constexpr unsigned kLeastRow = 2;
  static constexpr unsigned kLongestRow = 64;

 private:
  std::uint64_t budget_ = 0;
  unsigned row_ = 0;             // so many waits were ended by calls, soon
  unsigned needed_ = kLeastRow;  // that many are needed
  bool woken_last_ = false;
};

}  // namespace coloop::loop
