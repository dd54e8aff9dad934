// What is said when the process crashes: the stacks of Python's threads and of JavaScript.
#pragma once

#include "base/result.h"
#include "interp/gil.h"

namespace coloop::interp {

// From now on SIGSEGV, SIGBUS, SIGILL and SIGFPE print what Python's faulthandler prints, then
// JavaScript's stack, and go on to whoever handled them before. What V8 makes of a SIGSEGV in
// WebAssembly stays V8's. Main thread, at start, before user code.
[[nodiscard]] base::Result<void> ReportFaults(const Gil& gil);

}  // namespace coloop::interp
