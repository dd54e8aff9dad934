// Contexts of callbacks. call_soon gives each callback a copy of the current context; here the copy
// is made only for one that sets a variable. The others run one after another in the same Context,
// as long as nobody can tell: its variables are those that the callback was to have, and nobody
// else has it.
#pragma once

#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::loop {

// Finds out where a Context keeps its variables; without it every callback has its copy. False with
// an exception set.
[[nodiscard]] bool InitContexts(const interp::Gil& gil);

// A Context with the variables of the current one, which must not be entered: others may have it,
// too. Null with an exception set.
[[nodiscard]] interp::Owned ShareCurrentContext(const interp::Gil& gil);

// One to enter instead of a shared one. Null with an exception set.
[[nodiscard]] interp::Owned BorrowContext(const interp::Gil& gil, _object* shared);
// Gives it back after it was left, while `references` are the caller's. False if it was changed or
// somebody else has it: then it is no longer what `shared` was.
[[nodiscard]] bool ReturnContext(const interp::Gil& gil, _object* shared, _object* borrowed,
                                 long references);

// Forgets what is kept for the next callback, and with it the values of its variables.
void DropContexts(const interp::Gil& gil);

}  // namespace coloop::loop
