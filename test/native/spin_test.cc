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

TEST(a_wait_that_did_not_look_has_not_looked_in_vain) {
  Spin spin;
  EXPECT(WaitsUntilLook(spin, kSoon) == 3);
  for (int i = 0; i < 100; ++i) spin.EndedAfter(kSoon, 0, true);
  spin.EndedAfter(kLate, 0, false);
  EXPECT(WaitsUntilLook(spin, kSoon) == 3);
}

}  // namespace
