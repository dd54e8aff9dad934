// The pending Python exception as an object, and back.
#pragma once

#include "base/result.h"
#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::interp {

// The pending exception, normalised, with its traceback set; the indicator is cleared. An error
// indicator that is not set gives a SystemError, never null.
[[nodiscard]] Owned TakeException(const Gil& gil);

[[nodiscard]] bool HasException(const Gil& gil);

// Clears the indicator if it is a KeyboardInterrupt; false if it is not.
[[nodiscard]] bool TakeInterrupt(const Gil& gil);

// The same for a RecursionError.
[[nodiscard]] bool TakeRecursionError(const Gil& gil);

// Raises `exception` (an instance) with the traceback it has.
void RaiseException(const Gil& gil, _object* exception);

// Raises the exception class that belongs to `error.code` (TypeError, RuntimeError, …).
void RaiseError(const Gil& gil, const base::Error& error);

// The pending exception as "Type: text", for start-up failures; the indicator is cleared.
[[nodiscard]] base::Error TakeAsError(const Gil& gil, const char* code);

// For a failure nobody can be told of: sys.unraisablehook, with `where` as its context (may be
// null).
void ReportUnraisable(const Gil& gil, _object* where);

}  // namespace coloop::interp
