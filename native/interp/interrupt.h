// Stopping Python that does not return, on the main thread.
//
// PyErr_SetInterruptEx from another thread does not reach the evaluation loop on 3.10 to 3.12; from
// a signal handler on the main thread it does, and the signal (no SA_RESTART) breaks blocking calls
// as well. So a watchdog thread sends the main thread a signal nobody else uses.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/result.h"
#include "interp/gil.h"

namespace coloop::interp {

// Installs Python's default_int_handler (without touching the process's SIGINT) and the handler of
// the interrupt signal. Main thread, at start, before user code.
[[nodiscard]] base::Result<void> PrepareInterrupts(const Gil& gil);

// Any thread: Python code on the main thread gets a KeyboardInterrupt.
void InterruptMainThread();

// While it lives, interrupts the main thread after `grace_ms` milliseconds, and again every 50 ms.
class ExitWatchdog {
 public:
  explicit ExitWatchdog(int grace_ms);
  ~ExitWatchdog();
  ExitWatchdog(const ExitWatchdog&) = delete;
  ExitWatchdog& operator=(const ExitWatchdog&) = delete;

  [[nodiscard]] bool fired();

 private:
  void Run(int grace_ms);

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  bool fired_ = false;
  std::thread thread_;
};

}  // namespace coloop::interp
