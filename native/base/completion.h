// The upward interface of one pending result: whoever waits for it implements it, whoever produces
// it settles it exactly once.
#pragma once

struct _object;

namespace coloop::base {

class Completion {
 public:
  Completion() = default;
  Completion(const Completion&) = delete;
  Completion& operator=(const Completion&) = delete;
  Completion(Completion&&) = delete;
  Completion& operator=(Completion&&) = delete;
  // Destroyed without Settle: the result can no longer arrive (loop closed); the implementation
  // decides what its waiter is told.
  virtual ~Completion() = default;

  // The awaitable runs as this Task or Future, borrowed: whoever waits keeps it alive until Settle.
  // asyncio itself holds Tasks weakly, so one that only objects of its own would wake could be
  // collected. GIL held.
  virtual void Keep(_object* future) = 0;

  // Called on the loop's thread with the GIL held. `value` is borrowed: the result, or with
  // `is_error` the exception object.
  virtual void Settle(_object* value, bool is_error) = 0;
};

}  // namespace coloop::base
