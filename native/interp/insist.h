// Python code that catches every exception: one more is raised at each line that it executes, its
// handlers' included.
#pragma once

#include "interp/gil.h"

namespace coloop::interp {

// At start.
void PrepareInsisting(const Gil& gil);

// From now on each line on the calling thread raises a KeyboardInterrupt if `meant` says so; until
// the outermost Python code there has ended, or StopInsisting. Lines of the standard library and of
// this package do not, so that what they hold (locks, the running loop) is given back; nothing in
// them catches for ever.
void Insist(const Gil& gil, bool (*meant)(const Gil& gil));
void StopInsisting(const Gil& gil);

// For the sandbox: what the calling thread does just now is not the doing of Python code.
[[nodiscard]] bool IsInsistenceChanging();

}  // namespace coloop::interp
