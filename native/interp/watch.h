// Interrupts that have a target: a watch waits for its time, then Python gets a KeyboardInterrupt
// in the run or the Task that it was made for, and again if it makes nothing of it, in the end at
// every line (insist.h).
//
// One thread watches the clock. On the main thread it sends the interrupt signal, whose handler in
// Python looks, on that very thread, whether the target runs; elsewhere it takes the GIL, looks,
// and sets an exception, which the end of a run takes back. So what has ended is never hit.
#pragma once

#include <cstdint>
#include <memory>

#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::interp {

struct Lane;

// On the lane's thread. A limit below 0: it becomes due by InterruptWatch only. Not 0.
[[nodiscard]] std::uint64_t NewWatch(const std::shared_ptr<Lane>& lane, double limit_ms);
// What it watches. Without either it hits nothing.
void WatchRun(std::uint64_t watch, std::uint64_t run);
void WatchTask(const Gil& gil, std::uint64_t watch, _object* task);
// It is due now.
void InterruptWatch(std::uint64_t watch);

struct EndedWatch {
  bool due = false;     // its time had come
  bool raised = false;  // Python got the KeyboardInterrupt
};
EndedWatch EndWatch(const Gil& gil, std::uint64_t watch);

// Interrupts the run that is innermost now, once, with `insist` at every line until it ends; false
// if there is none. Any thread, without the GIL. If it is a call from JavaScript, that ends with a
// KeyboardInterrupt even when Python has finished before; see Run::End.
[[nodiscard]] bool InterruptLane(const std::shared_ptr<Lane>& lane, bool insist);

// The lanes of the environments in which Python is started, by JavaScript's threadId.
void AddLane(const std::shared_ptr<Lane>& lane);
void RemoveLane(const Gil& gil, const std::shared_ptr<Lane>& lane);
[[nodiscard]] std::shared_ptr<Lane> FindLane(int number);

// The main thread looks what is due, if Python runs there; false if not. Any thread.
bool SignalLane(const Lane& lane);

// For run.cc and interrupt.cc.

// The lane has left Python: waits until no signal is on its way to it.
void AwaitSignals(const Lane& lane);
// The run is over: what was set for it is taken back. True as Run::End.
bool EndRun(Lane& lane, std::uint64_t run);
// On the main thread, where the signal has arrived: raises the KeyboardInterrupt of a watch whose
// target runs here. False if there is none.
[[nodiscard]] bool RaiseDue(const Gil& gil);

}  // namespace coloop::interp
