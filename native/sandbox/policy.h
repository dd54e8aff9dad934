// What is refused: verdicts over the table of events. Standard library only.
//
// One policy for the process, since an audit hook serves every interpreter. It is written before
// Python starts and afterwards only tightened, from any thread; the hook reads it with the GIL of
// any interpreter, so each entry is an atomic byte that stands on its own.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "sandbox/events.h"

namespace coloop::sandbox {

// Names of events or groups. An event's own name counts more than its group's; deny more than
// allow.
struct Options {
  std::vector<std::string> allow;
  std::vector<std::string> deny;
};

// What the hook does about an event.
enum class Action : std::uint8_t {
  kPass,     // nothing: the common case
  kInspect,  // its arguments decide
  kRefuse,
};

// Sets the verdicts. Those that `options.deny` adds to the table's own wait for Seal. Before
// Python.
[[nodiscard]] base::Result<void> SetPolicy(const Options& options);

// An error unless the options are empty or those of SetPolicy, in any order.
[[nodiscard]] base::Result<void> CheckSame(const Options& options);

// Puts the denials that SetPolicy kept waiting in force.
void SealPolicy();

// Denies more, at once; nothing undoes it. Any thread. An unknown name changes nothing at all.
[[nodiscard]] base::Result<void> TightenPolicy(const std::vector<std::string>& deny);

// kUnknownEvent for a name that is not in the table. Some nanoseconds; allocates nothing.
[[nodiscard]] EventId FindEvent(const char* name);

[[nodiscard]] Action ActionOf(EventId event);
[[nodiscard]] bool Denied(EventId event);

}  // namespace coloop::sandbox
