// What is refused: verdicts over the table of events. No Python API.
//
// The process has a policy, since an audit hook serves every interpreter. It is written before
// Python starts and afterwards only tightened, from any thread; the hook reads it with the GIL of
// any interpreter, so each entry is an atomic byte that stands on its own. An interpreter of a
// Worker's own may have a policy besides: what either denies is denied there.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "sandbox/events.h"
#include "sandbox/rules.h"

namespace coloop::sandbox {

// Names of events or groups. An event's own name counts more than its group's; deny more than
// allow, and both more than the preset.
struct Options {
  std::vector<std::string> allow;
  std::vector<std::string> deny;
  // Else GCC wants them in every designated initializer.
  // NOLINTBEGIN(readability-redundant-member-init)
  std::vector<std::string> rules = {};  // lines of rules.h
  std::vector<std::string> watch = {};  // names of what is reported although it is allowed
  // NOLINTEND(readability-redundant-member-init)
  bool strict = false;    // the preset that denies all but computing
  bool children = false;  // subprocess works by children that Node.js runs
};

// Whether the first start said `children`.
[[nodiscard]] bool RoutesChildren();

// What the hook does about an event.
enum class Action : std::uint8_t {
  kPass,     // nothing: the common case
  kInspect,  // its arguments decide
  kRefuse,
};

// Sets the verdicts. Those that the options add to the table's own, and the rules, wait for
// SealPolicy. Before Python.
[[nodiscard]] base::Result<void> SetPolicy(const Options& options);

// An error unless the options are empty or those of SetPolicy, in any order.
[[nodiscard]] base::Result<void> CheckSame(const Options& options);

// Puts in force what SetPolicy kept waiting.
void SealPolicy();

// Denies more, at once; nothing undoes it. Any thread. An unknown name changes nothing at all.
[[nodiscard]] base::Result<void> TightenPolicy(const Options& options);

// A policy for a Worker's own interpreter.
struct OwnChoice {
  Options options;
  std::vector<EventId> denied;
  OwnedRuleLayer rules;
};
// The options may only deny.
[[nodiscard]] base::Result<OwnChoice> ParseOwn(const Options& options);
// For the calling thread's interpreter, which is new: before user code.
void SetOwn(OwnChoice choice);
// A text that is the same for the same policy.
[[nodiscard]] std::string KeyOf(const Options& options);
// An error unless the options are empty or those of SetOwn.
[[nodiscard]] base::Result<void> CheckSameOwn(const Options& options);

// kUnknownEvent for a name that is not in the table. Some nanoseconds; allocates nothing.
[[nodiscard]] EventId FindEvent(const char* name);

[[nodiscard]] Action ActionOf(EventId event);
[[nodiscard]] bool Denied(EventId event);
// Reported also where it is allowed.
[[nodiscard]] bool Watched(EventId event);

}  // namespace coloop::sandbox
