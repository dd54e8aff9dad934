// The watchdog of the main thread: Python that keeps it from JavaScript for too long is reported,
// or interrupted. A thread looks at the lane every now and then, so what is watched costs nothing.
#pragma once

#include <memory>

#include "interp/gil.h"
#include "interp/ref.h"

struct _object;

namespace coloop::interp {

struct Lane;

// Replaces the one before. `report(milliseconds, frame)` is called on the main thread, between two
// instructions of what blocks it; for an interrupt before the KeyboardInterrupt is raised.
void StartWatchdog(const Gil& gil, const std::shared_ptr<Lane>& lane, int limit_ms, bool interrupt,
                   Owned report);
void StopWatchdog(const Gil& gil);

// For interrupt.cc: reports if that is what the signal is for. True with an exception set if it is
// to be interrupted.
[[nodiscard]] bool ReportBlocked(const Gil& gil, _object* frame);

}  // namespace coloop::interp
