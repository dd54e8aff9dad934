// A ring buffer of what is ready, each with one strong reference: handles, and the objects of
// channels. GIL held throughout, but for empty().
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>
#include <vector>

#include "interp/ref.h"

namespace coloop::loop {

class Channel;

struct ReadyItem {
  interp::Owned object;
  Channel* channel = nullptr;  // part of the object; null for a handle
};

class ReadyQueue {
 public:
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] std::size_t size() const { return size_.load(std::memory_order_relaxed); }

  void Push(interp::Owned object, Channel* channel = nullptr) {
    const std::size_t count = size();
    if (count == slots_.size()) Grow();
    ReadyItem& item = slots_[(first_ + count) & (slots_.size() - 1)];
    item.object = std::move(object);
    item.channel = channel;
    size_.store(count + 1, std::memory_order_relaxed);
  }
  [[nodiscard]] ReadyItem Pop() {
    ReadyItem item = std::move(slots_[first_]);
    first_ = (first_ + 1) & (slots_.size() - 1);
    size_.store(size() - 1, std::memory_order_relaxed);
    return item;
  }
  [[nodiscard]] _object* At(std::size_t index) const {
    return slots_[(first_ + index) & (slots_.size() - 1)].object.get();
  }

 private:
  static constexpr std::size_t kFirstSize = 64;  // a power of two, as every later size

  void Grow() {
    std::vector<ReadyItem> larger(slots_.empty() ? kFirstSize : 2 * slots_.size());
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      larger[i] = std::move(slots_[(first_ + i) & (slots_.size() - 1)]);
    }
    slots_.swap(larger);
    first_ = 0;
  }

  std::vector<ReadyItem> slots_;
  std::size_t first_ = 0;
  std::atomic<std::size_t> size_{0};  // written with the GIL held
};

}  // namespace coloop::loop
