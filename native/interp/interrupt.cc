// The interrupt signal and the watchdog of the exit sequence.
#include "interp/interrupt.h"

#include <Python.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "base/result.h"
#include "interp/error.h"
#include "interp/gil.h"
#include "interp/insist.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"
#include "interp/signals.h"
#include "interp/watch.h"
#include "interp/watchdog.h"

namespace coloop::interp {

namespace {

constexpr std::chrono::milliseconds kInterruptEvery{50};

pthread_t main_thread;
int interrupt_signal = 0;
struct sigaction sigint_before{};

std::atomic<unsigned> signals_sent{0};
std::atomic<unsigned> signals_come{0};
std::atomic<bool> unconditional{false};
std::atomic<bool> insistent{false};  // the one that is unconditional

bool Always(const Gil&) { return true; }

void HandleInterrupt(int) {
  signals_come.fetch_add(1);
  (void)TripArrived();
  PyErr_SetInterruptEx(interrupt_signal);
}

// What Python calls for the signal, between two instructions or in a call that it broke.
PyObject* OnInterrupt(PyObject*, PyObject* args) {
  // Those of other signals are called before, by their numbers, but for what comes just now.
  if (!TripArrived()) NoteDelivered();
  const Gil gil = Gil::FromPython();
  if (unconditional.exchange(false)) {
    if (insistent.load()) Insist(gil, Always);
    PyErr_SetNone(PyExc_KeyboardInterrupt);
    return nullptr;
  }
  if (RaiseDue(gil) || PyErr_Occurred() != nullptr) return nullptr;
  PyObject* frame = PyTuple_GET_SIZE(args) == 2 ? PyTuple_GET_ITEM(args, 1) : Py_None;
  if (ReportBlocked(gil, frame)) return nullptr;
  Py_RETURN_NONE;
}

PyMethodDef on_interrupt = {"interrupt", OnInterrupt, METH_VARARGS,
                            PyDoc_STR("Raises KeyboardInterrupt in what is to be interrupted.")};

// Only Python's own thread can break a call that blocks there, so it gets the signal.
void HandleSigint(int number) {
  if (pthread_equal(pthread_self(), main_thread) == 0) {
    pthread_kill(main_thread, number);
    return;
  }
  PyErr_SetInterruptEx(SIGINT);
  if (sigint_before.sa_handler != SIG_DFL && sigint_before.sa_handler != SIG_IGN) {
    sigint_before.sa_handler(number);
  }
}

// A real-time signal that has its default disposition, from the upper end, where nobody looks.
int FindUnusedSignal() {
  for (int candidate = SIGRTMAX - 1; candidate > SIGRTMIN; --candidate) {
    struct sigaction action{};
    if (sigaction(candidate, nullptr, &action) == 0 && action.sa_handler == SIG_DFL) {
      return candidate;
    }
  }
  return 0;
}

void SetInterrupt(unsigned long ident) {
  SetAsyncException(Gil::FromPython(), ident, PyExc_KeyboardInterrupt);
}

// The main interpreter takes no visits any more.
void InterruptAtExit(const PythonThread& thread) {
  if (thread.interpreter->interpreter != PyInterpreterState_Main()) {
    VisitApart(*thread.interpreter, [thread](const Gil&) { IfAttached(thread, SetInterrupt); });
    return;
  }
  const PyGILState_STATE state = PyGILState_Ensure();
  IfAttached(thread, SetInterrupt);
  PyGILState_Release(state);
}

PyObject* NewInsistent(PyTypeObject*, PyObject*, PyObject*) {
  Insist(Gil::FromPython(), Always);
  return PyObject_CallNoArgs(PyExc_KeyboardInterrupt);
}

struct InterruptState {
  PyObject* insistent_class = nullptr;
};
PerInterpreter<InterruptState> state;

// signal.signal(), which changes the process's disposition as well.
bool SetPythonHandler(PyObject* module, int number, PyObject* handler) {
  const Owned before(PyObject_CallMethod(module, "signal", "iO", number, handler));
  return static_cast<bool>(before);
}

}  // namespace

base::Result<void> PrepareInterrupts(const Gil& gil) {
  main_thread = pthread_self();
  interrupt_signal = FindUnusedSignal();
  if (interrupt_signal == 0) {
    return base::Error{"ERR_COLOOP_START", "no real-time signal is free for interrupts"};
  }
  const Owned module(PyImport_ImportModule("_signal"));
  const Owned on_sigint(module ? PyObject_GetAttrString(module.get(), "default_int_handler")
                               : nullptr);
  const Owned handler(PyCFunction_New(&on_interrupt, nullptr));
  if (!on_sigint || !handler) return TakeAsError(gil, "ERR_COLOOP_START");
  struct sigaction saved{};
  sigaction(SIGINT, nullptr, &saved);
  const bool set = SetPythonHandler(module.get(), SIGINT, on_sigint.get()) &&
                   SetPythonHandler(module.get(), interrupt_signal, handler.get());
  sigaction(SIGINT, &saved, nullptr);
  if (!set) return TakeAsError(gil, "ERR_COLOOP_START");
  PrepareInsisting(gil);
  struct sigaction action{};
  action.sa_handler = HandleInterrupt;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_ONSTACK;
  sigaction(interrupt_signal, &action, nullptr);
  return {};
}

void SendInterruptSignal() {
  signals_sent.fetch_add(1);
  if (pthread_kill(main_thread, interrupt_signal) != 0) signals_come.fetch_add(1);
}

void AwaitInterruptSignals() {
  // It is there already but for the time that the kernel takes. The bound is for a handler that
  // native code has replaced.
  for (int i = 0; i < 1000 && signals_sent.load() != signals_come.load(); ++i) sched_yield();
}

void TripInterrupt() { PyErr_SetInterruptEx(interrupt_signal); }

void InterruptMainThread(bool insist) {
  if (interrupt_signal == 0) return;
  insistent.store(insist);
  unconditional.store(true);
  SendInterruptSignal();
}

bool InterruptsOnSigint() {
  struct sigaction current{};
  sigaction(SIGINT, nullptr, &current);
  return current.sa_handler == HandleSigint;
}

void InterruptOnSigint() {
  struct sigaction current{};
  sigaction(SIGINT, nullptr, &current);
  if (current.sa_handler == HandleSigint) return;
  sigint_before = current;
  struct sigaction action{};
  action.sa_handler = HandleSigint;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_ONSTACK;  // no SA_RESTART: what blocks is broken off
  sigaction(SIGINT, &action, nullptr);
}

// Up to 3.11 a thread that is being started has the ident of the one that starts it, until it runs,
// and is found before that. It would end before it has said that it began, for which the other
// waits.
void SetAsyncException(const Gil&, unsigned long ident, PyObject* exception) {
#if PY_VERSION_HEX < 0x030C0000
  PyThreadState* found = nullptr;
  PyThreadState* oldest = nullptr;
  PyThreadState* each = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
  for (; each != nullptr; each = PyThreadState_Next(each)) {
    if (each->thread_id != ident) continue;
    if (found == nullptr) found = each;
    oldest = each;
  }
#endif
  (void)PyThreadState_SetAsyncExc(ident, exception);
#if PY_VERSION_HEX < 0x030C0000
  if (found == oldest || (exception != nullptr && found->async_exc == nullptr)) return;
  Py_XSETREF(oldest->async_exc, std::exchange(found->async_exc, nullptr));
#endif
}

PyObject* InterruptClass(PyObject*& made, void* make) {
  if (made == nullptr) {
    PyType_Slot slots[] = {{Py_tp_new, make}, {0, nullptr}};
    PyType_Spec spec = {"builtins.KeyboardInterrupt", 0, 0, Py_TPFLAGS_DEFAULT, slots};
    const Owned bases(PyTuple_Pack(1, PyExc_KeyboardInterrupt));
    made = bases ? PyType_FromSpecWithBases(&spec, bases.get()) : nullptr;
    if (made == nullptr) PyErr_Clear();
  }
  return made != nullptr ? made : PyExc_KeyboardInterrupt;
}

unsigned long ThreadIdent(const Gil&) { return PyThread_get_thread_ident(); }

void InterruptThread(const PythonThread& thread, bool insist, std::function<bool()> meant,
                     void (*wake)(const Gil& gil, unsigned long ident)) {
  VisitApart(*thread.interpreter,
             [ident = thread.ident, insist, meant = std::move(meant), wake](const Gil& gil) {
               if (!meant()) return;
               PyObject* exception = insist ? InterruptClass(state->insistent_class,
                                                             reinterpret_cast<void*>(NewInsistent))
                                            : PyExc_KeyboardInterrupt;
               SetAsyncException(gil, ident, exception);
               wake(gil, ident);
             });
}

void ClearInterrupt(const Gil& gil) {
  StopInsisting(gil);
  SetAsyncException(gil, PyThread_get_thread_ident(), nullptr);
}

void EndDespite(int grace_ms, int code) {
  // Apart: whoever interrupts waits for a GIL, which C code may not give up.
  std::thread([grace_ms, code] {
    std::this_thread::sleep_for(std::chrono::milliseconds(grace_ms));
    _exit(code);
  }).detach();
  std::thread([] {
    for (;;) {
      for (const PythonThread& thread : AttachedThreads()) InterruptAtExit(thread);
      std::this_thread::sleep_for(kInterruptEvery);
    }
  }).detach();
}

ExitWatchdog::ExitWatchdog(int grace_ms, int code)
    : thread_([this, grace_ms, code] { Run(grace_ms, code); }) {}

ExitWatchdog::~ExitWatchdog() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ExitWatchdog::Entered() {
  const std::lock_guard<std::mutex> lock(mutex_);
  entered_ = true;
}

void ExitWatchdog::Run(int grace_ms, int code) {
  std::unique_lock<std::mutex> lock(mutex_);
  auto wait = std::chrono::milliseconds(grace_ms);
  std::chrono::milliseconds late{0};  // a grace may be too short to take even a free GIL in it
  while (!changed_.wait_for(lock, wait, [this] { return stop_; })) {
    if (late >= (entered_ ? kGiveUpAfter : kInterruptEvery)) _exit(code);
    if (entered_) InterruptMainThread(late >= kInsistAfter);
    wait = kInterruptEvery;
    late += wait;
  }
}

}  // namespace coloop::interp
