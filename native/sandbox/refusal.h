// Raising the exception of a refused operation.
#pragma once

#include <string>

#include "sandbox/events.h"

struct _object;

namespace coloop::sandbox {

// Sets the exception; the GIL is held, no exception is pending. Returns null, for slots to return.
//
// Its class is shown as RuntimeError and is one. It is besides, so that the standard library's own
// fall-backs work: ValueError for signals, ImportError for an import, PermissionError for the rest.
// Whoever listens gets a report, with the event's arguments (a tuple) if they are given. `why` is
// said in place of "The sandbox policy denies it."
_object* Refuse(EventId event, _object* arguments = nullptr, const std::string& why = {});

// What its message says.
[[nodiscard]] std::string RefusalText(EventId event, const std::string& why = {});

}  // namespace coloop::sandbox
