// Stopping Python that does not return: the interrupt signal, and the end of the process.
//
// PyErr_SetInterruptEx from another thread does not reach the evaluation loop on 3.10 to 3.12; from
// a signal handler on the main thread it does, and the signal (no SA_RESTART) breaks blocking calls
// as well. So another thread sends the main thread a signal nobody else uses, and the handler that
// Python has for it decides, on the main thread, whether what runs there is meant (watch.h).
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "base/result.h"
#include "interp/gil.h"

struct _object;

namespace coloop::interp {

// Installs Python's default_int_handler (without touching the process's SIGINT) and the handler of
// the interrupt signal. Main thread, at start, before user code.
[[nodiscard]] base::Result<void> PrepareInterrupts(const Gil& gil);

// What still runs so long after the first of many interrupts catches them all, and is insisted on
// (insist.h).
inline constexpr std::chrono::milliseconds kInsistAfter{500};
// And what runs so long after it runs in C code that does not look.
inline constexpr std::chrono::milliseconds kGiveUpAfter{1000};

// Any thread: whatever Python code runs on the main thread gets a KeyboardInterrupt, with `insist`
// at every line.
void InterruptMainThread(bool insist);

// Any thread, one at a time: the main thread looks whether something is due (RaiseDue).
void SendInterruptSignal();
// Main thread: until every signal that was sent has come.
void AwaitInterruptSignals();
// The same on the main thread itself: when Python next runs there.
void TripInterrupt();

// From now on the process's SIGINT interrupts Python on the main thread as well, before whoever
// handles it now. For a program that is Python's alone; main thread.
void InterruptOnSigint();
[[nodiscard]] bool InterruptsOnSigint();

// PyThreadState_SetAsyncExc for that thread and no other: an exception class, or null to take it
// back.
void SetAsyncException(const Gil& gil, unsigned long ident, _object* exception);

// What to set for a thread: `make` (a type's tp_new) then runs on that thread, where Python raises
// it or catches it, and its result is raised. `made` keeps the class, one for each interpreter.
[[nodiscard]] _object* InterruptClass(_object*& made, void* make);

// The calling thread, for InterruptThread.
[[nodiscard]] unsigned long ThreadIdent(const Gil& gil);
// Python code on that thread, now or when it next enters Python, gets a KeyboardInterrupt, if
// `meant` says so with that interpreter's GIL held: the thread may have ended, and its ident be
// another one's. With `insist` at every line. The calling thread holds no GIL. A call of C code
// that blocks is not broken; `wake` is called then.
void InterruptThread(const PythonThread& thread, bool insist, std::function<bool()> meant,
                     void (*wake)(const Gil& gil, unsigned long ident));
// Takes back an interrupt that has not come to the calling thread yet, or goes on there.
void ClearInterrupt(const Gil& gil);

// After the exit sequence: interrupts the threads that are attached every 50 ms, and ends the
// process with `code` when `grace_ms` milliseconds have passed.
void EndDespite(int grace_ms, int code);

// While it lives, interrupts the main thread after `grace_ms` milliseconds, and again every 50 ms,
// from kInsistAfter on at every line. If that has not got the GIL 50 ms after the first time, which
// C code on another thread may keep for ever, or still runs after kGiveUpAfter, it ends the process
// with `code`.
class ExitWatchdog {
 public:
  ExitWatchdog(int grace_ms, int code);
  ~ExitWatchdog();
  ExitWatchdog(const ExitWatchdog&) = delete;
  ExitWatchdog& operator=(const ExitWatchdog&) = delete;

  // The main thread has the GIL.
  void Entered();

 private:
  void Run(int grace_ms, int code);

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  bool entered_ = false;
  std::thread thread_;
};

}  // namespace coloop::interp
