// Timers by time, first come first served among equals. A cancelled one stays until it is due, or
// until half of a large heap or all of a small one is cancelled. GIL held throughout.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "interp/ref.h"

namespace coloop::loop {

class TimerHeap {
 public:
  using Dead = bool (*)(_object* handle);

  void Push(double when, interp::Owned handle);
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  // Without those that are known to be cancelled.
  [[nodiscard]] std::size_t live() const { return counted_; }
  [[nodiscard]] double first() const { return entries_.front().when; }
  [[nodiscard]] _object* front() const { return entries_.front().handle.get(); }
  [[nodiscard]] interp::Owned Pop();
  // One of the handles is being cancelled; purges when there are many such, or nothing else.
  void Cancelled(_object* handle, Dead dead);
  // A cancelled handle was popped.
  void PoppedCancelled();
  void Clear();

  template <typename Visit>
  [[nodiscard]] int Traverse(Visit visit) const {
    for (const Entry& entry : entries_) {
      const int result = visit(entry.handle.get());
      if (result != 0) return result;
    }
    return 0;
  }

 private:
  struct Entry {
    double when;
    std::uint64_t sequence;
    interp::Owned handle;
  };
  struct Later {
    bool operator()(const Entry& a, const Entry& b) const {
      return a.when != b.when ? a.when > b.when : a.sequence > b.sequence;
    }
  };
  void Purge(_object* handle, Dead dead);
  void Count();

  static constexpr std::size_t kPurgeFrom = 100;  // as asyncio's _MIN_SCHEDULED_TIMER_HANDLES

  std::vector<Entry> entries_;
  std::uint64_t next_sequence_ = 0;
  std::size_t cancelled_ = 0;  // of those in the heap, as far as is known
  std::size_t counted_ = 0;    // by the live counter
};

}  // namespace coloop::loop
