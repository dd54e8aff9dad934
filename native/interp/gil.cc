// GIL tokens over PyEval_SaveThread and PyEval_RestoreThread; see gil.h for the rules.
#include "interp/gil.h"

#include <Python.h>

#include <atomic>

#include "base/check.h"

namespace coloop::interp {

namespace {
thread_local GilSlot slot;
std::atomic<bool> usable{false};
}  // namespace

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
  PyEval_RestoreThread(slot.state);
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
  PyEval_RestoreThread(slot.state);
  slot.held = true;
  if (before_.state == nullptr) slot.state = nullptr;
}

void AttachThread(PyInterpreterState* interpreter) {
  COLOOP_CHECK(slot.state == nullptr);
  if (interpreter == nullptr) interpreter = PyInterpreterState_Main();
  slot.state = PyThreadState_New(interpreter);
  COLOOP_CHECK(slot.state != nullptr);
}

void DetachThread() {
  COLOOP_CHECK(slot.state != nullptr && !slot.held);
  if (!InterpreterUsable()) return;
  PyEval_RestoreThread(slot.state);
  PyThreadState_Clear(slot.state);
  PyThreadState_DeleteCurrent();
  slot.state = nullptr;
}

}  // namespace coloop::interp
