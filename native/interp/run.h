// What Python does for JavaScript, in numbered runs, so that an interrupt hits what it is meant
// for and nothing else.
//
// A lane is a thread on which JavaScript runs. A run is one call from JavaScript, or one callback
// of the hosted loop. Runs nest where Python calls JavaScript that calls Python. They begin and end
// on the lane's thread with the GIL held; other threads read the atomics, and with the GIL the
// rest.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "interp/gil.h"

struct _object;
struct _ts;

namespace coloop::interp {

class Run;

struct Lane {
  Lane(const Gil& gil, bool is_main, int thread_number);

  const unsigned long ident;  // Python's, of the thread
  _ts* const state;           // and the thread's state
  InterpreterHead& interpreter;
  const bool main_thread;  // Python's main thread, which takes signals
  const int number;        // JavaScript's threadId
  // The hosted loop, for asyncio.current_task; borrowed, null before and after.
  _object* loop = nullptr;
  // After an exception was set for the thread: what makes an owned loop that it waits in wake.
  void (*wake)(const Gil& gil, unsigned long ident) = nullptr;

  // The number of the innermost run, 0 without one.
  std::atomic<std::uint64_t> innermost{0};
  // That of the outermost run, which JavaScript waits for.
  std::atomic<std::uint64_t> outermost{0};
  // Python code runs, or waits in a call that Python made: no JavaScript, no libuv.
  std::atomic<bool> in_python{false};
  // Interrupts that wait for this lane.
  std::atomic<int> due{0};

  Run* top = nullptr;
  std::uint64_t last = 0;
  std::uint64_t call = 0;   // the call that starts a Task; see CallStarts
  std::uint64_t armed = 0;  // the watch that an exception is set for, not on the main thread
};

// The calling thread's; null on a thread without JavaScript.
[[nodiscard]] Lane* CurrentLane();
void SetCurrentLane(std::shared_ptr<Lane> lane);

class Run {
 public:
  Run() = default;
  explicit Run(Lane* lane) {
    if (lane != nullptr) Begin(*lane);
  }
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void Begin(Lane& lane);
  // A Task that starts at once: what it does first is part of the call that starts it, if that has
  // a number; what asyncio does with the Task besides is not.
  void BeginFirstStep(Lane& lane);
  // The callback that follows is a run of its own.
  void Next() {
    if (lane_ != nullptr) Renew();
  }
  // True if InterruptLane said that it would be interrupted, which did not happen.
  [[nodiscard]] bool End();

  [[nodiscard]] std::uint64_t number() const { return number_; }
  [[nodiscard]] const Run* outer() const { return outer_; }
  [[nodiscard]] bool first_step() const { return first_step_; }

 private:
  void Renew();

  Lane* lane_ = nullptr;  // null: nothing is noted
  Run* outer_ = nullptr;
  std::uint64_t number_ = 0;
  bool first_step_ = false;
};

// The first steps of Tasks belong to the call with this number, for its life.
class CallStarts {
 public:
  CallStarts(Lane& lane, std::uint64_t call)
      : lane_(lane), before_(std::exchange(lane.call, call)) {}
  ~CallStarts() { lane_.call = before_; }
  CallStarts(const CallStarts&) = delete;
  CallStarts& operator=(const CallStarts&) = delete;

 private:
  Lane& lane_;
  const std::uint64_t before_;
};

// JavaScript runs that Python called: no signal is sent to the thread meanwhile.
class OutsidePython {
 public:
  OutsidePython();
  ~OutsidePython();
  OutsidePython(const OutsidePython&) = delete;
  OutsidePython& operator=(const OutsidePython&) = delete;

 private:
  Lane* lane_;
};

}  // namespace coloop::interp
