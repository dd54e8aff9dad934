// Running an awaitable of Python's to its end.
#pragma once

#include <memory>

#include "base/completion.h"
#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::loop {

// Runs `awaitable` on `loop` and settles `completion` once. A coroutine becomes a Task in `context`
// (null: a copy of the current one), started at once where `eager` and the version has eager tasks;
// a Future of this loop gets a done callback. The result is the Task or Future, for cancellation.
// Null without an exception set: it could not start, and that has settled the completion; null with
// one: the completion was destroyed unsettled.
[[nodiscard]] interp::Owned RunAwaitable(const interp::Gil& gil, _object* loop, _object* awaitable,
                                         _object* context, bool eager,
                                         std::unique_ptr<base::Completion> completion);

// The done callback that RunAwaitable leaves with a Task. The loop queues it as it is when the Task
// schedules it, without a Handle around it: nobody else ever has it, so nobody can cancel it.
[[nodiscard]] bool IsSettler(_object* object);
void PrepareSettler(_object* settler, _object* future);
void RunSettler(const interp::Gil& gil, _object* settler);

[[nodiscard]] bool AddTaskTypes(const interp::Gil& gil);

}  // namespace coloop::loop
