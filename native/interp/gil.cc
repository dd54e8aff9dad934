// GIL tokens over PyEval_SaveThread and PyEval_RestoreThread; see gil.h for the rules.
#include "interp/gil.h"

#include <Python.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/thread_model.h"
#include "interp/per_interpreter.h"

namespace coloop::interp {

namespace {
COLOOP_THREAD_MODEL thread_local GilSlot slot;
thread_local GilWaits waits;

std::mutex attached_mutex;
std::vector<PythonThread> attached;  // guarded by attached_mutex

// Taking a free GIL is faster than this.
constexpr std::uint64_t kUncontended = 1'000;

std::uint64_t Nanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

// Whether no other thread can have the GIL. Only pointers are compared: another thread's state may
// go away meanwhile.
bool IsOnlyThread(PyThreadState* state) {
  return PyInterpreterState_ThreadHead(PyThreadState_GetInterpreter(state)) == state &&
         PyThreadState_Next(state) == nullptr;
}

void Restore(PyThreadState* state) {
  if (IsOnlyThread(state)) {
    PyEval_RestoreThread(state);
    return;
  }
  const std::uint64_t start = Nanoseconds();
  PyEval_RestoreThread(state);
  const std::uint64_t waited = Nanoseconds() - start;
  if (waited < kUncontended) return;
  waits.nanoseconds += waited;
  waits.longest = std::max(waits.longest, waited);
  ++waits.count;
}
}  // namespace

const GilWaits& CurrentGilWaits() { return waits; }

GilSlot& CurrentGilSlot() { return slot; }

Gil Gil::FromPython() {
  slot.held = true;
  return Gil();
}

bool InterpreterUsable() {
  return current_interpreter != nullptr &&
         current_interpreter->usable.load(std::memory_order_acquire);
}
void SetInterpreterUsable(bool value) {
  CurrentInterpreter().usable.store(value, std::memory_order_release);
}

GilAcquire::GilAcquire() {
  if (slot.held) {
    (void)CurrentInterpreter();
    ok_ = InterpreterUsable();
    return;
  }
  if (slot.state == nullptr || !InterpreterUsable()) return;
  Restore(slot.state);
  slot.held = true;
  owned_ = true;
  ok_ = InterpreterUsable();  // the exit sequence may have run while this thread waited
}

GilAcquire::~GilAcquire() {
  if (!owned_) return;
  slot.held = false;
  slot.state = PyEval_SaveThread();
}

GilRelease::GilRelease(const Gil&) : before_(slot) {
  (void)CurrentInterpreter();  // known from here on, also to a thread that Python made
  slot.held = false;
  slot.state = PyEval_SaveThread();
}

GilRelease::~GilRelease() {
  Restore(slot.state);
  slot.held = true;
  if (before_.state == nullptr) slot.state = nullptr;
}

InterpreterVisit::InterpreterVisit(InterpreterHead& interpreter)
    : visited_(interpreter), home_(current_interpreter), before_(slot) {
  COLOOP_CHECK(!slot.held);
  {
    const std::lock_guard<std::mutex> lock(visited_.visits);
    if (!visited_.usable.load()) return;
    ++visited_.visitors;
  }
  ok_ = true;
  current_interpreter = &visited_;
  slot.state = PyThreadState_New(visited_.interpreter);
  COLOOP_CHECK(slot.state != nullptr);
  PyEval_RestoreThread(slot.state);
  slot.held = true;
}

InterpreterVisit::~InterpreterVisit() {
  if (!ok_) return;
  PyThreadState_Clear(slot.state);
  PyThreadState_DeleteCurrent();
  slot = before_;
  current_interpreter = home_;
  const std::lock_guard<std::mutex> lock(visited_.visits);
  if (--visited_.visitors == 0) visited_.visits_ended.notify_all();
}

void VisitApart(InterpreterHead& interpreter, std::function<void(const Gil&)> act) {
  if (current_interpreter == &interpreter && slot.state != nullptr) {
    const GilAcquire acquire;
    if (acquire.ok()) act(acquire.gil());
    return;
  }
  if (interpreter.first_state == nullptr) {  // the main one
    const InterpreterVisit visit(interpreter);
    if (visit.ok()) act(visit.gil());
    return;
  }
  if (interpreter.visit_begun.exchange(true)) return;
  std::thread([&interpreter, act = std::move(act)] {
    {
      const InterpreterVisit visit(interpreter);
      if (visit.ok()) act(visit.gil());
    }
    interpreter.visit_begun.store(false);
  }).detach();
}

void EndVisits(const Gil& gil) {
  InterpreterHead& interpreter = CurrentInterpreter();
  const GilRelease release(gil);
  std::unique_lock<std::mutex> lock(interpreter.visits);
  interpreter.usable.store(false);
  interpreter.visits_ended.wait(lock, [&] { return interpreter.visitors == 0; });
}

void AttachThread(InterpreterHead& interpreter) {
  COLOOP_CHECK(slot.state == nullptr);
  {
    // Before the thread looks whether the interpreter is usable: who makes it unusable looks here
    // afterwards, so that one of the two sees the other.
    const std::lock_guard<std::mutex> lock(attached_mutex);
    attached.push_back({&interpreter, PyThread_get_thread_ident()});
  }
  slot.state = PyThreadState_New(interpreter.interpreter);
  COLOOP_CHECK(slot.state != nullptr);
  current_interpreter = &interpreter;
}

void DetachThread() {
  COLOOP_CHECK(slot.state != nullptr && !slot.held);
  {
    const std::lock_guard<std::mutex> lock(attached_mutex);
    const auto found = std::find_if(attached.begin(), attached.end(), [](const auto& each) {
      return each.ident == PyThread_get_thread_ident();
    });
    if (found != attached.end()) attached.erase(found);
  }
  if (!InterpreterUsable()) return;
  PyEval_RestoreThread(slot.state);
  PyThreadState_Clear(slot.state);
  PyThreadState_DeleteCurrent();
  slot.state = nullptr;
  current_interpreter = nullptr;
}

void AttachForExit(InterpreterHead& interpreter) {
  slot.state = PyThreadState_New(interpreter.interpreter);
  COLOOP_CHECK(slot.state != nullptr);
  current_interpreter = &interpreter;
  PyEval_RestoreThread(slot.state);
  slot.held = true;
}

void IfAttached(const PythonThread& thread, void (*act)(unsigned long ident)) {
  const std::lock_guard<std::mutex> lock(attached_mutex);
  const bool found = std::any_of(attached.begin(), attached.end(), [&](const auto& each) {
    return each.ident == thread.ident && each.interpreter == thread.interpreter;
  });
  if (found) act(thread.ident);
}

std::vector<PythonThread> AttachedThreads() {
  const std::lock_guard<std::mutex> lock(attached_mutex);
  return attached;
}

}  // namespace coloop::interp
