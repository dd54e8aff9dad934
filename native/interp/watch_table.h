// The table of watches (watch.h): who is to be interrupted, when, and what is due on each lane.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "interp/ref.h"
#include "interp/run.h"

namespace coloop::interp {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// A signal that comes just before a call that blocks is lost, so it is sent again.
inline constexpr milliseconds kFirstRetry{2};
inline constexpr milliseconds kLastRetry{50};
// What still runs so long after it was raised first catches it, and is insisted on.
inline constexpr milliseconds kPatience{2000};
// A call's time-out cancels its Task where the JavaScript thread is free to do so, which breaks no
// step of it in two. Only after that time Python is interrupted.
inline constexpr milliseconds kCancelFirst{3};

struct Watch {
  std::shared_ptr<Lane> lane;
  std::uint64_t run = 0;
  Owned task;
  Clock::time_point limit = Clock::time_point::max();  // of the call
  Clock::time_point when = Clock::time_point::max();   // what happens to it next
  bool once = false;                                   // made by InterruptLane
  bool due = false;
  bool raised = false;   // Python got the exception
  bool waiting = false;  // and deals with it: the exception lives
  bool insist = false;   // raised at every line (insist.h)
  Clock::time_point first_raised = Clock::time_point::max();
  milliseconds retry = kFirstRetry;
};

// What is due on a lane, by its target.
struct Due {
  std::unordered_multimap<std::uint64_t, std::uint64_t> runs;
  std::unordered_multimap<const _object*, std::uint64_t> tasks;
};

// Lives as long as the process: the thread is never joined. Nothing waits for the GIL under the
// mutex.
struct Watches {
  std::mutex mutex;
  std::condition_variable changed;
  bool started = false;
  Clock::time_point armed = Clock::time_point::max();  // when the thread wakes by itself
  std::uint64_t last = 0;
  std::unordered_map<std::uint64_t, Watch> all;
  std::set<std::pair<Clock::time_point, std::uint64_t>> queue;
  std::vector<std::uint64_t> once;
  std::map<const Lane*, Due> due;
  std::map<int, std::shared_ptr<Lane>> lanes;

  void Schedule(std::uint64_t id, Watch& watch, Clock::time_point when);
  std::uint64_t Add(Watch watch, Clock::time_point when);
  Owned Remove(std::uint64_t id);
  void MarkDue(std::uint64_t id, Watch& watch);
  void InterruptOnce(const std::shared_ptr<Lane>& lane, std::uint64_t run, bool insist);
  void SetTarget(std::uint64_t id, Watch& watch, std::uint64_t run, Owned* task);
  void MarkRaised(std::uint64_t id);
  void TakeBack(Lane& lane);
  std::uint64_t Choose(const Lane& lane, const _object* task, bool in_asyncio,
                       bool (*wanted)(const Watch& watch));
};

// For Choose: to be raised, or raised at every line.
[[nodiscard]] bool IsReady(const Watch& watch);
[[nodiscard]] bool IsInsisted(const Watch& watch);

[[nodiscard]] Watches& TheWatches();

// What the thread runs, for ever.
[[noreturn]] void WatchTheClock(Watches& watches);

}  // namespace coloop::interp
