// Interpreters of Workers' own, each with its own GIL: Python 3.12 and newer.
//
// One lives as long as the process. Python leaks megabytes with each that ends, and cannot end one
// whose threads still run; so an interpreter that its Worker has left waits for the next one with
// the same policy.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>

#include "base/result.h"
#include "interp/interpreter.h"

namespace coloop::interp {

// Gives the calling thread, which has no Python yet, an interpreter of its own; the GIL is not held
// then. True if it is a new one, in which nothing of ours is set up but the package.
[[nodiscard]] base::Result<bool> EnterOwnInterpreter(const InterpreterConfig& config);

// The new one is as every Worker shall find it. False with an exception set.
[[nodiscard]] bool NoteStarted(const Gil& gil);

// Of the calling thread, which has Python.
[[nodiscard]] bool HasOwnInterpreter();

// Undoes that, or AttachThread: the thread has no Python any more. While the process exits, the
// exit sequence of its own interpreter runs first.
void LeaveInterpreter();

// The process exits: the exit sequences of the interpreters that no Worker has, in threads beside
// the main interpreter's. From now on Workers that leave theirs run it.
class LeftExits {
 public:
  explicit LeftExits(int grace_ms);

  // For their end, at most until the grace has passed since they began.
  void Wait();

 private:
  using Clock = std::chrono::steady_clock;

  // Shared with the threads, which stay.
  struct Running {
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t count = 0;  // guarded by mutex
  };

  const Clock::time_point deadline_;
  const std::shared_ptr<Running> running_ = std::make_shared<Running>();
};

}  // namespace coloop::interp
