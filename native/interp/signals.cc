// Routing signals to Python's handlers.
#include "interp/signals.h"

#include <Python.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <memory>

#include "interp/error.h"
#include "interp/gil.h"
#include "interp/ref.h"
#include "interp/run.h"
#include "interp/watch.h"

namespace coloop::interp {

namespace {

// Not Node's own (SIGUSR1, SIGCHLD, SIGPIPE, SIGPROF), and no errors of the processor.
constexpr std::array kRoutable = {SIGHUP,   SIGINT,  SIGQUIT, SIGTERM, SIGUSR2, SIGALRM,
                                  SIGWINCH, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, SIGXCPU};

void (*tell_route)(int number, bool on) = nullptr;
void (*wake_main)() = nullptr;
std::atomic<std::uint64_t> arrived{0};  // a bit for each signal that Python is to be told of
std::atomic<bool> undelivered{false};

bool IsRoutable(int number) {
  return std::find(kRoutable.begin(), kRoutable.end(), number) != kRoutable.end();
}

}  // namespace

void RouteSignals(const Gil& gil, void (*route)(int number, bool on), void (*wake)()) {
  tell_route = route;
  wake_main = wake;
  const Owned module(PyImport_ImportModule("_signal"));
  for (const int number : kRoutable) {
    const Owned handler(module ? PyObject_CallMethod(module.get(), "getsignal", "i", number)
                               : nullptr);
    if (handler.get() != Py_None) continue;
    const Owned before(PyObject_CallMethod(module.get(), "signal", "ii", number, 0));  // SIG_DFL
  }
  if (PyErr_Occurred() != nullptr) ReportUnraisable(gil, module.get());
}

bool SignalsRouted() { return tell_route != nullptr; }

// SIG_DFL and SIG_IGN change nothing but what getsignal() says.
bool CanRoute(const Gil&, int number, PyObject* handler) {
  return IsRoutable(number) || (handler != nullptr && PyCallable_Check(handler) == 0);
}

KeptDisposition::KeptDisposition(int number) : number_(number), saved_(new struct sigaction) {
  sigaction(number_, nullptr, static_cast<struct sigaction*>(saved_));
}

KeptDisposition::~KeptDisposition() {
  sigaction(number_, static_cast<struct sigaction*>(saved_), nullptr);
  delete static_cast<struct sigaction*>(saved_);
}

void HandlerChanged(const Gil&, int number, PyObject* handler) {
  if (!IsRoutable(number)) return;
  bool on = PyCallable_Check(handler) != 0;
  if (on && number == SIGINT) {
    // Python's own handler stands for what happens by default, which is Node's.
    const Owned module(PyImport_ImportModule("_signal"));
    const Owned by_default(module ? PyObject_GetAttrString(module.get(), "default_int_handler")
                                  : nullptr);
    if (!by_default) PyErr_Clear();
    on = by_default.get() != handler;
  } else if (!on) {
    on = PyLong_Check(handler) != 0 && PyLong_AsLong(handler) == 1;  // SIG_IGN
  }
  tell_route(number, on);
}

bool TripArrived() {
  std::uint64_t bits = arrived.exchange(0);
  if (bits == 0) return false;
  for (int number = 1; bits != 0; ++number) {
    bits >>= 1U;
    if ((bits & 1U) != 0) PyErr_SetInterruptEx(number);
  }
  return true;
}

void NoteDelivered() {
  if (!undelivered.exchange(false)) return;
  if (const std::shared_ptr<Lane> lane = FindLane(0)) lane->due.fetch_sub(1);
}

void DeliverSignal(int number) {
  const std::shared_ptr<Lane> lane = FindLane(0);
  if (lane == nullptr) return;
  arrived.fetch_or(std::uint64_t{1} << static_cast<unsigned>(number));
  if (!undelivered.exchange(true)) lane->due.fetch_add(1);
  (void)DeliverAgain();
}

bool DeliverAgain() {
  if (!undelivered.load()) return false;
  const std::shared_ptr<Lane> lane = FindLane(0);
  if (lane == nullptr) return false;
  if (!SignalLane(*lane)) wake_main();
  return true;
}

void RunSignalHandlers(const Gil& gil, PyObject* loop) {
  if (!undelivered.load()) return;
  (void)TripArrived();
  NoteDelivered();
  const Run run(CurrentLane());
  if (PyErr_CheckSignals() == 0) return;
  const Owned exception = TakeException(gil);
  const Owned done(PyObject_CallMethod(loop, "call_exception_handler", "{s:s,s:O}", "message",
                                       "Exception in a signal handler", "exception",
                                       exception.get()));
  if (!done) ReportUnraisable(gil, loop);
}

}  // namespace coloop::interp
