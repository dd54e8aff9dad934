// A sandbox policy for one case.
#pragma once

#include "sandbox/policy.h"
#include "test.h"

namespace coloop::test {

// The process has one policy: each case ends with the one without options.
class Policy {
 public:
  explicit Policy(const sandbox::Options& options) { EXPECT(sandbox::SetPolicy(options).ok()); }
  ~Policy() { EXPECT(sandbox::SetPolicy(sandbox::Options{}).ok()); }
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;
  Policy(Policy&&) = delete;
  Policy& operator=(Policy&&) = delete;
};

}  // namespace coloop::test
