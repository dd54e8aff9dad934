// Beginning and ending runs.
#include "interp/run.h"

#include <Python.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/thread_model.h"
#include "interp/gil.h"
#include "interp/interrupt.h"
#include "interp/per_interpreter.h"
#include "interp/watch.h"

namespace coloop::interp {

namespace {

thread_local std::shared_ptr<Lane> kept_lane;
COLOOP_THREAD_MODEL constinit thread_local Lane* current_lane = nullptr;  // the same

// What became due before Python ran here could not reach it.
void NoticeDue(const Lane& lane) {
  if (lane.due.load(std::memory_order_relaxed) > 0 && lane.main_thread) TripInterrupt();
}

// Sequentially consistent, as the count of what is due: whoever has counted an interrupt before
// sees the lane outside, or is waited for here.
void Leave(Lane& lane) {
  lane.in_python.exchange(false);
  if (lane.due.load() > 0) AwaitSignals(lane);
}

}  // namespace

Lane::Lane(const Gil&, bool is_main, int thread_number)
    : ident(PyThread_get_thread_ident()),
      state(PyThreadState_Get()),
      interpreter(CurrentInterpreter()),
      main_thread(is_main),
      number(thread_number) {}

Lane* CurrentLane() { return current_lane; }
void SetCurrentLane(std::shared_ptr<Lane> lane) {
  current_lane = lane.get();
  kept_lane = std::move(lane);
}

void Run::Begin(Lane& lane) {
  lane_ = &lane;
  outer_ = lane.top;
  number_ = ++lane.last;
  lane.top = this;
  lane.innermost.store(number_, std::memory_order_relaxed);
  if (outer_ == nullptr) lane.outermost.store(number_, std::memory_order_relaxed);
  lane.in_python.store(true, std::memory_order_release);
  NoticeDue(lane);
}

void Run::BeginFirstStep(Lane& lane) {
  first_step_ = true;
  Begin(lane);
  if (lane.call == 0) return;
  number_ = lane.call;
  lane.innermost.store(number_);
}

Run::~Run() { (void)End(); }

bool Run::End() {
  Lane* lane = std::exchange(lane_, nullptr);
  if (lane == nullptr) return false;
  lane->top = outer_;
  lane->in_python.store(false, std::memory_order_relaxed);
  if (outer_ == nullptr) lane->outermost.store(0, std::memory_order_relaxed);
  lane->innermost.exchange(outer_ != nullptr ? outer_->number_ : 0);
  if (lane->due.load() == 0) return false;
  AwaitSignals(*lane);
  return EndRun(*lane, number_);
}

void Run::Renew() {
  const std::uint64_t before = number_;
  number_ = ++lane_->last;
  lane_->innermost.exchange(number_);
  if (outer_ == nullptr) lane_->outermost.store(number_, std::memory_order_relaxed);
  if (lane_->due.load() == 0) return;
  (void)EndRun(*lane_, before);
  NoticeDue(*lane_);
}

OutsidePython::OutsidePython() : lane_(CurrentLane()) {
  if (lane_ != nullptr) Leave(*lane_);
}

OutsidePython::~OutsidePython() {
  if (lane_ == nullptr) return;
  lane_->in_python.store(lane_->top != nullptr, std::memory_order_release);
  NoticeDue(*lane_);
}

}  // namespace coloop::interp
