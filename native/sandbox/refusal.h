// Raising the exception of a refused operation.
#pragma once

#include "sandbox/events.h"

struct _object;

namespace coloop::sandbox {

// Sets the exception; the GIL is held, no exception is pending. Returns null, for slots to return.
//
// Its class is shown as RuntimeError and is one. It is besides, so that the standard library's own
// fall-backs work: ValueError for signals, ImportError for an import, PermissionError for the rest.
_object* Refuse(EventId event);

}  // namespace coloop::sandbox
