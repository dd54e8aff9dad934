// When a wait begins with looking for other threads' calls.
#include "loop/spin.h"

#include <cstdint>

#include "test.h"

namespace {

using coloop::loop::Spin;

constexpr std::uint64_t kSoon = 12'000;
constexpr std::uint64_t kLate = 1'000'000;

// Waits as the poller does, each ended by a call after `nanoseconds`, until one begins with
// looking; how many did not.
int WaitsUntilLook(Spin& spin, std::uint64_t nanoseconds) {
  int waits = 0;
  while ((!spin.expected() || spin.budget() == 0) && waits < 1'000) {
    ++waits;
    if (spin.expected()) {
      spin.EndedAfter(nanoseconds, spin.budget(), true);
    } else {
      spin.Ended(true);
    }
  }
  return waits;
}

TEST(waits_that_nobody_ends_are_not_measured) {
  Spin spin;
  for (int i = 0; i < 10; ++i) spin.Ended(false);
  EXPECT(!spin.expected());
  EXPECT(spin.budget() == 0);
}

TEST(calls_that_come_soon_are_looked_for) {
  Spin spin;
  EXPECT(WaitsUntilLook(spin, kSoon) == 3);
  EXPECT(spin.budget() == 2 * kSoon);
  spin.EndedAfter(kSoon / 2, spin.budget(), true);
  EXPECT(spin.budget() == kSoon);
}

TEST(calls_that_come_late_are_not) {
  Spin spin;
  EXPECT(WaitsUntilLook(spin, kLate) == 1'000);
}

TEST(looks_in_vain_make_looks_rarer_and_finds_make_them_frequent) {
  Spin spin;
  int last = WaitsUntilLook(spin, kSoon);
  for (int i = 0; i < 3; ++i) {
    spin.EndedAfter(kLate, spin.budget(), false);
    EXPECT(spin.budget() == 0);
    const int waits = WaitsUntilLook(spin, kSoon);
    EXPECT(waits > last);
    last = waits;
  }
  for (int i = 0; i < 100; ++i) spin.EndedAfter(kSoon, spin.budget(), true);
  spin.EndedAfter(kLate, spin.budget(), false);
  EXPECT(WaitsUntilLook(spin, kSoon) < last);
}

TEST(a_call_that_comes_after_the_look_was_looked_for_in_vain) {
  Spin spin;
  for (int i = 0; i < 10; ++i) {
    (void)WaitsUntilLook(spin, kSoon);
    spin.EndedAfter(Spin::kLongest, spin.budget(), true);
    EXPECT(spin.budget() == 0);
  }
  EXPECT(WaitsUntilLook(spin, kSoon) == static_cast<int>(Spin::kLongestRow));
}

// Of so many waits, how many looked, where the one kind ends after `asleep`, the other after
// `looking` nanoseconds.
int LooksOf(Spin& spin, int waits, std::uint64_t asleep, std::uint64_t looking) {
  int looks = 0;
  for (int i = 0; i < waits; ++i) {
    if (!spin.expected()) {
      spin.Ended(true);
      continue;
    }
    const std::uint64_t budget = spin.budget();
    if (budget != 0) ++looks;
    spin.EndedAfter(budget != 0 ? looking : asleep, budget, true);
  }
  return looks;
}

TEST(the_faster_way_is_taken_and_noticed_when_it_changes) {
  Spin spin;
  EXPECT(LooksOf(spin, 10'000, 20'000, 12'000) > 9'500);
  EXPECT(LooksOf(spin, 10'000, 12'000, 20'000) < 1'000);
  EXPECT(LooksOf(spin, 10'000, 20'000, 12'000) > 9'000);
}

TEST(a_wait_that_did_not_look_has_not_looked_in_vain) {
  Spin spin;
  EXPECT(WaitsUntilLook(spin, kSoon) == 3);
  for (int i = 0; i < 100; ++i) spin.EndedAfter(kSoon, 0, true);
  spin.EndedAfter(kLate, 0, false);
  EXPECT(WaitsUntilLook(spin, kSoon) == 3);
}

}  // namespace
