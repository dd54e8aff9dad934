// Memory as large as a value of the program's: that there is none is an error, not the process's
// end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace coloop::base {

// Not initialised; null if there is no memory.
template <typename T>
[[nodiscard]] std::unique_ptr<T[]> TryNewArray(std::size_t count) {
  if (count > PTRDIFF_MAX / sizeof(T)) return nullptr;
  return std::unique_ptr<T[]>(new (std::nothrow) T[count]);
}

}  // namespace coloop::base
