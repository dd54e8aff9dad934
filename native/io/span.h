// A Python object whose buffer is memory of ours for the length of one call: how bytes get into and
// out of Python's ssl without an object of their own. Only for callees that let the buffer go.
#pragma once

#include <cstddef>

#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::io {

[[nodiscard]] bool InitSpan(const interp::Gil& gil);

// Null with an exception set.
[[nodiscard]] interp::Owned NewSpan(const interp::Gil& gil);

// Points it at memory for its life; before and after it has none. Writable: the callee may change
// the memory.
class SpanOver {
 public:
  SpanOver(_object* span, char* data, std::size_t length);
  SpanOver(_object* span, const char* data, std::size_t length);
  ~SpanOver();
  SpanOver(const SpanOver&) = delete;
  SpanOver& operator=(const SpanOver&) = delete;

 private:
  _object* span_;
};

}  // namespace coloop::io
