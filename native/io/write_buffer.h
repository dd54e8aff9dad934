// What is not sent yet: bytes objects, held instead of copied. GIL held throughout.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <vector>

#include "interp/ref.h"

namespace coloop::io {

class WriteBuffer {
 public:
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }

  void Append(interp::Owned bytes);
  // The first of it as at most `capacity` vectors; how many there are.
  std::size_t Fill(iovec* vectors, std::size_t capacity) const;
  // Keeps the bytes of the first vector alive.
  [[nodiscard]] interp::Owned First() const;
  // So many bytes of it were sent.
  void Consume(std::size_t count);
  void Clear();

 private:
  std::vector<interp::Owned> chunks_;
  std::size_t first_ = 0;   // index of the first chunk that is left
  std::size_t offset_ = 0;  // what was sent of it
  std::size_t size_ = 0;
};

}  // namespace coloop::io
