// Handles: asyncio.Handle and asyncio.TimerHandle, as types of ours that derive from them and are
// made without running their Python __init__. What the base classes keep in slots stays there, at
// the offsets that their member descriptors name; up to three arguments, and a timer's time, lie in
// the object itself.
#pragma once

#include <cstddef>

#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::loop {

class Loop;

// Looks asyncio's classes up and makes ours. False with an exception set.
[[nodiscard]] bool InitHandles(const interp::Gil& gil);

// What Handle(callback, args, loop, context) makes. `context` null: a copy of the current one. Null
// with an exception set.
[[nodiscard]] interp::Owned MakeHandle(const interp::Gil& gil, Loop& loop, _object* callback,
                                       _object* const* args, std::size_t count, _object* context);
// What TimerHandle(when, …) makes, already marked as scheduled.
[[nodiscard]] interp::Owned MakeTimerHandle(const interp::Gil& gil, double when, Loop& loop,
                                            _object* callback, _object* const* args,
                                            std::size_t count, _object* context);
// The callbacks that ran are done: what they made and is still there is for the garbage collector
// to know.
void TrackFreshHandles(const interp::Gil& gil);

// Any asyncio.Handle, also one that is not ours.
[[nodiscard]] bool IsHandle(_object* object);
// Of any asyncio.Handle.
[[nodiscard]] bool IsCancelled(_object* handle);

// One that MakeTimerHandle made.
[[nodiscard]] bool IsTimerHandle(_object* object);
// Any asyncio.TimerHandle, also one that is not ours.
[[nodiscard]] bool IsAnyTimerHandle(_object* object);
[[nodiscard]] bool IsScheduled(_object* timer_handle);
// It left the heap.
void MarkUnscheduled(_object* timer_handle);

enum class Ran { kDone, kFailed, kExit };
// Runs the callback in its context: Handle._run. kFailed: the exception is set and is for the
// loop's exception handler; kExit: it is a SystemExit or a KeyboardInterrupt.
[[nodiscard]] Ran RunCallback(const interp::Gil& gil, _object* handle);

}  // namespace coloop::loop
