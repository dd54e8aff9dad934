// A ring buffer of handles, each with one strong reference. GIL held throughout.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "interp/ref.h"

namespace coloop::loop {

class ReadyQueue {
 public:
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }

  void Push(interp::Owned handle) {
    if (size_ == slots_.size()) Grow();
    slots_[(first_ + size_) & (slots_.size() - 1)] = std::move(handle);
    ++size_;
  }
  [[nodiscard]] interp::Owned Pop() {
    interp::Owned handle = std::move(slots_[first_]);
    first_ = (first_ + 1) & (slots_.size() - 1);
    --size_;
    return handle;
  }
  [[nodiscard]] _object* At(std::size_t index) const {
    return slots_[(first_ + index) & (slots_.size() - 1)].get();
  }

 private:
  static constexpr std::size_t kFirstSize = 64;  // a power of two, as every later size

  void Grow() {
    std::vector<interp::Owned> larger(slots_.empty() ? kFirstSize : 2 * slots_.size());
    for (std::size_t i = 0; i < size_; ++i) {
      larger[i] = std::move(slots_[(first_ + i) & (slots_.size() - 1)]);
    }
    slots_.swap(larger);
    first_ = 0;
  }

  std::vector<interp::Owned> slots_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace coloop::loop
