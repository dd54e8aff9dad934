// Python's own signal handlers, where signal.signal() is allowed: Node keeps its dispositions,
// libuv tells a thread of ours (bridge/signal_thread.h), and Python runs the handler as it would.
#pragma once

#include "interp/gil.h"

struct _object;

namespace coloop::interp {

// From now on signal.signal() is allowed for signals that Node has no use of its own for. `route`
// is told which of them Python handles, `wake` has RunSignalHandlers called on the main thread. To
// Python, what Node has a handler of its own for is SIG_DFL.
void RouteSignals(const Gil& gil, void (*route)(int number, bool on), void (*wake)());
[[nodiscard]] bool SignalsRouted();
// Whether signal.signal(number, handler) can be allowed.
[[nodiscard]] bool CanRoute(const Gil& gil, int number, _object* handler);

// While it lives, what is done to the disposition of a signal is undone at its end.
class KeptDisposition {
 public:
  explicit KeptDisposition(int number);
  ~KeptDisposition();
  KeptDisposition(const KeptDisposition&) = delete;
  KeptDisposition& operator=(const KeptDisposition&) = delete;

 private:
  const int number_;
  void* const saved_;
};

// After signal.signal().
void HandlerChanged(const Gil& gil, int number, _object* handler);

// The signal has come. Any thread.
void DeliverSignal(int number);
// Again, if Python has not noticed; false when it has.
[[nodiscard]] bool DeliverAgain();

// Main thread, nothing of Python's runs: the handlers of what has come; what they raise goes to the
// loop's exception handler.
void RunSignalHandlers(const Gil& gil, _object* loop);

// For interrupt.cc: Python will see what has come. False if that is nothing; async-signal-safe.
bool TripArrived();
// Python's handlers have been called.
void NoteDelivered();

}  // namespace coloop::interp
