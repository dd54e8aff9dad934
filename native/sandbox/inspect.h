// Events that pass or not by their arguments.
#pragma once

#include <string>

#include "sandbox/events.h"

struct _object;

namespace coloop::sandbox {

struct Finding {
  EventId refused = kUnknownEvent;  // of which event it is a case that is refused
  EventId watched = kUnknownEvent;  // or watched
  std::string why;                  // of a rule; empty: the policy denies the event
};

// The GIL is held, `arguments` is the event's tuple. Runs no Python code; allocates nothing for
// what is allowed, but for text that is not ASCII.
[[nodiscard]] Finding Inspect(EventId event, _object* arguments);

// The file of cffi's extension module, if that is what an `import` event is about; borrowed, or
// null.
[[nodiscard]] _object* CffiFile(_object* arguments);

}  // namespace coloop::sandbox
