// When it is worth to look for another thread's call for a while before a wait: the kernel takes
// about 10 us to wake a thread that sleeps, and a call that comes sooner is served at once. It is
// while such calls end the waits, one after another and soon: a thread that asks and waits for its
// answer. And while it is the faster way: a thread that keeps its processor busy with looking leaves
// the one that it waits for another, which the kernel may have to wake first; had it slept, the
// other had run at once in its place (an executor's thread on a virtual machine).
#pragma once

#include <algorithm>
#include <cstdint>

namespace coloop::loop {

class Spin {
 public:
  // False: a wait need not be measured, and is not to begin with a look.
  [[nodiscard]] bool expected() const { return woken_last_; }
  // Nanoseconds that a wait may begin with looking; 0: it sleeps at once.
  [[nodiscard]] std::uint64_t budget() const {
    return row_ >= needed_ && until_sample_ != 0 ? budget_ : 0;
  }

  // A wait that was not measured ended: by a thread's call or by something else.
  void Ended(bool woken) {
    woken_last_ = woken;
    if (!woken) row_ = 0;
  }
  // One that was, after so many nanoseconds, of which it looked `looked` at most. What was looked
  // for in vain is looked for again after a longer row of calls only.
  void EndedAfter(std::uint64_t nanoseconds, std::uint64_t looked, bool woken) {
    const bool in_vain = looked != 0 && (!woken || nanoseconds > looked || IsSlower(nanoseconds));
    if (looked == 0 && woken) NoteSleep(std::min(nanoseconds, kLongest));
    until_sample_ = looked == 0 ? kSample : until_sample_ - 1;
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

  static constexpr unsigned kSample = 64;  // so many waits in a row look, then one sleeps

 private:
  static constexpr std::uint64_t kWeight = 8;  // of the past in an average

  static std::uint64_t Average(std::uint64_t past, std::uint64_t now) {
    return (past * (kWeight - 1) + now) / kWeight;
  }

  void NoteSleep(std::uint64_t nanoseconds) {
    asleep_ = asleep_ == 0 ? nanoseconds : Average(asleep_, nanoseconds);
  }

  // A wait that looked took so long: whether those that sleep are shorter, clearly.
  [[nodiscard]] bool IsSlower(std::uint64_t nanoseconds) {
    looking_ = Average(looking_ == 0 ? asleep_ : looking_, nanoseconds);
    if (looking_ <= asleep_ + asleep_ / kWeight) return false;
    looking_ = 0;
    return true;
  }

  std::uint64_t budget_ = 0;
  std::uint64_t asleep_ = 0;   // nanoseconds of waits that slept, on average
  std::uint64_t looking_ = 0;  // and of those that looked, since they began to
  unsigned until_sample_ = kSample;
  unsigned row_ = 0;             // so many waits were ended by calls, soon
  unsigned needed_ = kLeastRow;  // that many are needed
  bool woken_last_ = false;
};

}  // namespace coloop::loop
