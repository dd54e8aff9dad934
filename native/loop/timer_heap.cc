// The heap behind call_later and call_at.
#include "loop/timer_heap.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/counters.h"
#include "interp/ref.h"

namespace coloop::loop {

void TimerHeap::Push(double when, interp::Owned handle) {
  entries_.push_back(Entry{when, next_sequence_++, std::move(handle)});
  std::push_heap(entries_.begin(), entries_.end(), Later());
  base::CountLive(base::Live::kTimer, 1);
}

interp::Owned TimerHeap::Pop() {
  std::pop_heap(entries_.begin(), entries_.end(), Later());
  interp::Owned handle = std::move(entries_.back().handle);
  entries_.pop_back();
  base::CountLive(base::Live::kTimer, -1);
  return handle;
}

void TimerHeap::Cancelled(Dead dead) {
  ++cancelled_;
  base::CountLive(base::Live::kTimer, -1);
  if (entries_.size() < kPurgeFrom || 2 * cancelled_ < entries_.size()) return;
  // Handles are dropped after the heap is whole again: a drop may run Python.
  std::vector<Entry> kept;
  std::vector<Entry> dropped;
  for (Entry& entry : entries_) {
    (dead(entry.handle.get()) ? dropped : kept).push_back(std::move(entry));
  }
  entries_.swap(kept);
  std::make_heap(entries_.begin(), entries_.end(), Later());
  cancelled_ = 1;  // the handle in question is marked as cancelled only after this call
}

void TimerHeap::Clear() {
  base::CountLive(base::Live::kTimer, -static_cast<std::int64_t>(live()));
  std::vector<Entry> dropped;
  dropped.swap(entries_);
  cancelled_ = 0;
}

void TimerHeap::PoppedCancelled() {
  if (cancelled_ == 0) return;
  --cancelled_;
  base::CountLive(base::Live::kTimer, 1);  // Pop has counted it, and Cancelled before
}

}  // namespace coloop::loop
