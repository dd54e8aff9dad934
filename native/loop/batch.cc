// A batch of a loop: what is ready, generation after generation, until libuv has its turn.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/ticks.h"
#include "interp/gil.h"
#include "interp/run.h"
#include "loop/channel.h"
#include "loop/context.h"
#include "loop/handle.h"
#include "loop/loop.h"
#include "loop/ready_queue.h"
#include "loop/running.h"

namespace coloop::loop {

namespace {
// Ready generations run until this much time has passed, then libuv has its turn.
constexpr std::uint64_t kBatchNanoseconds = 50'000;
// After how many generations a batch looks at the descriptors: while it looks often, and at most.
constexpr unsigned kOftenLook = 2;
constexpr unsigned kRarestLook = 256;
constexpr unsigned kOftenLooks = 4;  // in vain, until the looks become rarer
// After so many batches at most, one looks again at its end.
constexpr unsigned kMostPassed = 63;
// One generation on a hosted loop, looked at after every so many callbacks.
constexpr std::uint64_t kGenerationNanoseconds = 2'000'000;
constexpr std::size_t kClockEvery = 8;
// Of base::Ticks(): a fifth of a batch at most.
constexpr std::uint64_t kTicksWithoutClock = 10'000;
}  // namespace

void Loop::LookOften() {
  look_interval_ = kOftenLook;
  vain_looks_ = 0;
}

// Between two generations of a batch. asyncio looks each time, and programs that wait for I/O by
// some sleep(0) rely on that; where nothing comes, the looks become rare. What is watched anew is
// looked at before the next generation: what has come for it goes before what that queues.
bool Loop::LookBetween(const interp::Gil& gil) {
  if (++vain_looks_ > kOftenLooks) look_interval_ = std::min(2 * look_interval_, kRarestLook);
  poller_.Note();
  return CollectReady(gil);
}

// Whether more has come for the descriptors that began a batch, before Node.js goes round for it.
// Where that is in vain, it becomes rare.
bool Loop::LookAgain(const interp::Gil& gil) {
  if (host_ == nullptr || !began_with_events_) return false;
  if (passed_looks_ < pass_looks_) {
    ++passed_looks_;
    return false;
  }
  passed_looks_ = 0;
  poller_.Note();
  const bool found = CollectReady(gil) && !ready_.empty();
  pass_looks_ = found ? 0 : std::min(2 * pass_looks_ + 1, kMostPassed);
  return found;
}

bool Loop::RunGenerations(const interp::Gil& gil) {
  unsigned until_look = look_interval_;
  std::uint64_t start = 0;  // the clock is read only where there is more than a little to run
  std::uint64_t last_look = 0;
  for (int generation = 1;; ++generation) {
    // A callback may run the loop in itself, and the queue empty.
    for (std::size_t count = ready_.size(); count > 0 && !ready_.empty(); --count) {
      const ReadyItem item = ready_.Pop();
      if (run_ != nullptr) run_->Next();
      ++callbacks_;
      in_callback_ = true;
      bool stays = item.channel != nullptr ? RunChannel(gil, *item.channel)
                                           : RunHandle(gil, item.object.get());
      if (!written_.empty()) stays = FlushAfter(gil, stays);
      in_callback_ = false;
      if (!stays) return false;
      if (closed) return true;
      if (host_ == nullptr || count % kClockEvery != 0) continue;
      // A long generation is cut on a hosted loop: JavaScript has its turn, the rest comes after
      // it.
      const std::uint64_t now = MonotonicNanoseconds();
      if (start == 0) start = now;
      if (now - start > kGenerationNanoseconds) return true;
    }
    if (!last_.empty()) CollectLast();
    if (ready_.empty()) {
      LookOften();
      if (generation > 1 || !LookAgain(gil)) return true;
      continue;
    }
    if (stopping && host_ == nullptr) return true;
    if (--until_look == 0 || own_time_ || poller_.has_news()) {
      if (!LookBetween(gil)) return false;
      until_look = look_interval_;
    }
    if (generation == 1) continue;
    // The processor's count is cheaper than the clock, and says when it cannot be time yet.
    const std::uint64_t ticks = base::Ticks();
    if (ticks != 0 && ticks - last_look < kTicksWithoutClock) continue;
    last_look = ticks;
    const std::uint64_t now = MonotonicNanoseconds();
    if (start == 0) start = now;
    if (now - start > kBatchNanoseconds) return true;
  }
}

bool Loop::RunBatch(const interp::Gil& gil) {
  began_with_events_ = poller_.has_events();
  if (!CollectReady(gil)) return false;
  if (ready_.empty()) return true;
  ++iterations_;
  const bool stays = RunGenerations(gil);
  if (!last_.empty()) CollectLast();
  TrackFreshHandles(gil);
  DropContexts(gil);
  return stays;
}

}  // namespace coloop::loop
