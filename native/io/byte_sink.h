// A protocol that is native: what its transport reads is handed over without a bytes object.
#pragma once

#include <cstddef>

#include "interp/gil.h"

namespace coloop::io {

class ByteSink {
 public:
  ByteSink() = default;
  ByteSink(const ByteSink&) = delete;
  ByteSink& operator=(const ByteSink&) = delete;
  virtual ~ByteSink() = default;

  // data_received(). False with an exception set. `data` is the loop's scratch: it is valid until
  // Python code runs.
  [[nodiscard]] virtual bool Received(const interp::Gil& gil, const char* data,
                                      std::size_t length) = 0;
};

}  // namespace coloop::io
