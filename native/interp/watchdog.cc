// The watchdog's thread and its report.
#include "interp/watchdog.h"

#include <Python.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <ratio>
#include <thread>
#include <utility>

#include "interp/error.h"
#include "interp/gil.h"
#include "interp/ref.h"
#include "interp/run.h"
#include "interp/watch.h"

namespace coloop::interp {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int kLooksInLimit = 8;

// Shared with its thread, which it may outlive or leave behind.
struct Watchdog {
  std::shared_ptr<Lane> lane;
  milliseconds limit;
  bool interrupt;
  Owned report;  // guarded by the GIL

  std::mutex mutex;
  std::condition_variable changed;
  bool stop = false;
  Clock::time_point since;                 // when `seen` was first seen; guarded by the mutex
  std::uint64_t seen = 0;                  // the outermost run; guarded by the mutex
  std::atomic<std::uint64_t> asked{0};     // the run to report
  std::atomic<std::uint64_t> reported{0};  // the last one that was

  void Run();
  void Look();
  // What was asked is done, or no longer needed.
  std::uint64_t TakeAsked();
};

// Guarded by the GIL.
std::shared_ptr<Watchdog>& Current() {
  static auto* current = new std::shared_ptr<Watchdog>;
  return *current;
}

std::uint64_t Watchdog::TakeAsked() {
  const std::uint64_t run = asked.exchange(0);
  if (run != 0) lane->due.fetch_sub(1);
  return run;
}

void Watchdog::Look() {
  const std::uint64_t run = lane->in_python.load() ? lane->outermost.load() : 0;
  const auto now = Clock::now();
  if (run != seen) {
    seen = run;
    since = now;
    (void)TakeAsked();
    return;
  }
  if (run == 0 || reported.load() == run || now - since < limit) return;
  if (asked.exchange(run) == 0) lane->due.fetch_add(1);
  (void)SignalLane(*lane);
}

void Watchdog::Run() {
  const auto every = std::clamp(limit / kLooksInLimit, milliseconds(1), milliseconds(50));
  std::unique_lock<std::mutex> lock(mutex);
  while (!changed.wait_for(lock, every, [this] { return stop; })) Look();
  (void)TakeAsked();
}

}  // namespace

void StartWatchdog(const Gil& gil, const std::shared_ptr<Lane>& lane, int limit_ms, bool interrupt,
                   Owned report) {
  StopWatchdog(gil);
  const auto watchdog = std::make_shared<Watchdog>();
  watchdog->lane = lane;
  watchdog->limit = milliseconds(limit_ms);
  watchdog->interrupt = interrupt;
  watchdog->report = std::move(report);
  Current() = watchdog;
  std::thread([watchdog] { watchdog->Run(); }).detach();
}

void StopWatchdog(const Gil&) {
  const std::shared_ptr<Watchdog> watchdog = std::move(Current());
  if (watchdog == nullptr) return;
  watchdog->report.reset();  // its thread may be the last to hold the rest
  {
    const std::lock_guard<std::mutex> lock(watchdog->mutex);
    watchdog->stop = true;
  }
  watchdog->changed.notify_all();
}

bool ReportBlocked(const Gil& gil, PyObject* frame) {
  const std::shared_ptr<Watchdog> watchdog = Current();
  const std::uint64_t run = watchdog != nullptr ? watchdog->TakeAsked() : 0;
  if (run == 0 || run != watchdog->lane->outermost.load()) return false;
  Clock::time_point since;
  {
    const std::lock_guard<std::mutex> lock(watchdog->mutex);
    since = watchdog->since;
    if (watchdog->interrupt) watchdog->since = Clock::now();  // again, if it is of no use
  }
  if (!watchdog->interrupt) watchdog->reported.store(run);
  const double blocked = std::chrono::duration<double, std::milli>(Clock::now() - since).count();
  const Owned report = Owned::NewRef(watchdog->report.get());
  const Owned done(report ? PyObject_CallFunction(report.get(), "dO", blocked, frame) : nullptr);
  if (!done && PyErr_Occurred() != nullptr) ReportUnraisable(gil, report.get());
  if (!watchdog->interrupt) return false;
  PyErr_SetNone(PyExc_KeyboardInterrupt);
  return true;
}

}  // namespace coloop::interp
