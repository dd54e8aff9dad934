// asyncio.Handle and asyncio.TimerHandle, made without running their Python __init__: their slots
// are written directly, at the offsets that the classes' member descriptors name.
#pragma once

#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::loop {

// Looks the classes up. False with an exception set.
[[nodiscard]] bool InitHandles(const interp::Gil& gil);

// Handle(callback, args, loop, context), exactly. `context` null: a copy of the current one. Null
// with an exception set.
[[nodiscard]] interp::Owned MakeHandle(const interp::Gil& gil, _object* loop, _object* callback,
                                       _object* const* args, std::size_t count, _object* context,
                                       bool debug);
// TimerHandle(when, …), already marked as scheduled.
[[nodiscard]] interp::Owned MakeTimerHandle(const interp::Gil& gil, double when, _object* loop,
                                            _object* callback, _object* const* args,
                                            std::size_t count, _object* context, bool debug);

// The functions below read the slots of handles only.
[[nodiscard]] bool IsHandle(_object* object);
[[nodiscard]] bool IsTimerHandle(_object* object);

[[nodiscard]] bool IsCancelled(_object* handle);
// A TimerHandle left the heap.
void MarkUnscheduled(_object* handle);
[[nodiscard]] bool IsScheduled(_object* handle);

enum class Ran { kDone, kFailed, kExit };
// Runs the callback in its context: Handle._run. kFailed: the exception is set and is for the
// loop's exception handler; kExit: it is a SystemExit or a KeyboardInterrupt.
[[nodiscard]] Ran RunCallback(const interp::Gil& gil, _object* handle);

}  // namespace coloop::loop
