// The sandbox: an audit hook and replaced built-in modules, for every interpreter of the process.
//
// Install, then Initialize with Arm as `before_user_code`, then Seal. A guard for the host against
// code that means well: what it cannot stop is in docs/sandbox.md.
#pragma once

#include "base/result.h"
#include "interp/gil.h"
#include "sandbox/policy.h"

struct _object;

namespace coloop::sandbox {

// Sets the policy, adds the audit hook, replaces built-in modules. Before Initialize, once. An
// unknown name in the options is an error that lists near ones.
[[nodiscard]] base::Result<void> Install(const Options& options);

// A later JavaScript environment on the main interpreter shares the policy: options of its own must
// be empty, or the same names.
[[nodiscard]] base::Result<void> CheckInstalled(const Options& options);

// From here on Python is refused to change signal handlers. After our own were set, before site
// runs.
void Arm(const interp::Gil& gil);

// What the options deny besides the table's own takes effect: after our package is loaded, before
// user code. What sys.path names now stays readable whatever the rules say.
void Seal(const interp::Gil& gil);

// For another interpreter than the main one: from Begin() to its end, Python's own start on this
// thread is let pass what its user denied only, as before Seal.
class StartScope {
 public:
  StartScope() = default;
  ~StartScope();
  StartScope(const StartScope&) = delete;
  StartScope& operator=(const StartScope&) = delete;
  static void Begin(const interp::Gil& gil);
};

// The functions of `_coloop` that `_sandbox.py` uses. An interp::ModulePart.
[[nodiscard]] bool AddToModule(const interp::Gil& gil, _object* module);

}  // namespace coloop::sandbox
