// GIL tokens over PyEval_SaveThread and PyEval_RestoreThread; see gil.h for the rules.
#include "interp/gil.h"

#include <Python.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "base/check.h"

namespace coloop::interp {

namespace {
thread_local GilSlot slot;
std::atomic<bool> usable{false};
thread_local GilWaits waits;

std::mutex attached_mutex;
std::vector<unsigned long> attached;  // guarded by attached_mutex

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

bool InterpreterUsable() { return usable.load(std::memory_order_acquire); }
void SetInterpreterUsable(bool value) { usable.store(value, std::memory_order_release); }

GilAcquire::GilAcquire() {
  if (slot.held) {
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
  slot.held = false;
  slot.state = PyEval_SaveThread();
}

GilRelease::~GilRelease() {
  Restore(slot.state);
  slot.held = true;
  if (before_.state == nullptr) slot.state = nullptr;
}

void AttachThread(PyInterpreterState* interpreter) {
  COLOOP_CHECK(slot.state == nullptr);
  if (interpreter == nullptr) interpreter = PyInterpreterState_Main();
  {
    // Before the thread looks whether the interpreter is usable: who makes it unusable looks here
    // afterwards, so that one of the two sees the other.
    const std::lock_guard<std::mutex> lock(attached_mutex);
    attached.push_back(PyThread_get_thread_ident());
  }
  slot.state = PyThreadState_New(interpreter);
  COLOOP_CHECK(slot.state != nullptr);
}

void DetachThread() {
  COLOOP_CHECK(slot.state != nullptr && !slot.held);
  {
    const std::lock_guard<std::mutex> lock(attached_mutex);
    attached.erase(std::find(attached.begin(), attached.end(), PyThread_get_thread_ident()));
  }
  if (!InterpreterUsable()) return;
  PyEval_RestoreThread(slot.state);
  PyThreadState_Clear(slot.state);
  PyThreadState_DeleteCurrent();
  slot.state = nullptr;
}

std::vector<unsigned long> AttachedThreads() {
  const std::lock_guard<std::mutex> lock(attached_mutex);
  return attached;
}

}  // namespace coloop::interp
