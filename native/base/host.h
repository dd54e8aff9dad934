// The upward interface to one JavaScript environment, for the Python objects that stand for its
// values. Ids name entries of a table on the JavaScript side.
#pragma once

#include <cstddef>
#include <cstdint>

struct _object;

namespace coloop::base {

class Host {
 public:
  Host() = default;
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  virtual ~Host() = default;

  // Performs `operation` (a name the JavaScript side knows) on object `id`. Any thread, GIL held;
  // it is released while JavaScript runs. A new reference, or null with an exception set.
  virtual _object* Perform(std::uint32_t operation, std::uint32_t id, _object* const* arguments,
                           std::size_t count) = 0;

  // Whether Perform can succeed: false once the environment ends. Any thread.
  [[nodiscard]] virtual bool answers() = 0;

  // A Python object that stood for `id` is gone. Any thread, GIL held.
  virtual void Released(std::uint32_t id) = 0;
  // No Task or callback runs in the async context `id` any more. Any thread, GIL held.
  virtual void ScopeReleased(std::uint32_t id) = 0;
};

}  // namespace coloop::base
