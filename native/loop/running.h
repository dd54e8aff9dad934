// Which loop runs on this thread: asyncio's running loop, and the owned loop that serves the
// thread.
#pragma once

#include <cstdint>

#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::loop {

class Loop;
class ThreadService;

// Looks asyncio's functions up. False with an exception set.
[[nodiscard]] bool InitRunning(const interp::Gil& gil);

// Sets asyncio's running loop for its life, and puts the one before back. At the outermost depth of
// a JavaScript thread there is none before, and asking costs a system call on 3.11.
class RunningLoop {
 public:
  enum class Before { kAsk, kNone };
  RunningLoop(const interp::Gil& gil, _object* loop, Before before = Before::kAsk);
  ~RunningLoop();
  RunningLoop(const RunningLoop&) = delete;
  RunningLoop& operator=(const RunningLoop&) = delete;

 private:
  interp::Owned previous_;
  bool changed_ = false;
};

// An owned loop runs on this thread: for its life other threads' work wakes it, and it serves it;
// it can be interrupted.
class ServedThread {
 public:
  explicit ServedThread(Loop& loop);
  ~ServedThread();
  ServedThread(const ServedThread&) = delete;
  ServedThread& operator=(const ServedThread&) = delete;

  // Work waits for the thread.
  [[nodiscard]] bool is_asked() const;
  void Serve(const interp::Gil& gil) const;

 private:
  Loop& loop_;
  Loop* previous_ = nullptr;
  ThreadService* service_;
};

// Hands the pending exception of a callback to the loop's exception handler. False when that raised
// SystemExit or KeyboardInterrupt, which leave an owned loop.
[[nodiscard]] bool ReportFailure(const interp::Gil& gil, _object* loop, _object* handle);

[[nodiscard]] std::uint64_t MonotonicNanoseconds();

}  // namespace coloop::loop
