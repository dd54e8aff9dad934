// The heap behind call_later and call_at.
#include "loop/timer_heap.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/counters.h"
#include "interp/ref.h"

namespace coloop::loop {

void TimerHeap::Push(double when, interp::Owned handle) {
  entries_.push_back(Entry{when, next_sequence_++, std::move(handle)});
  std::push_heap(entries_.begin(), entries_.end(), Later());
  Count();
}

interp::Owned TimerHeap::Pop() {
  std::pop_heap(entries_.begin(), entries_.end(), Later());
  interp::Owned handle = std::move(entries_.back().handle);
  entries_.pop_back();
  Count();
  return handle;
}

void TimerHeap::Cancelled(_object* handle, Dead dead) {
  ++cancelled_;
  const bool many = entries_.size() >= kPurgeFrom && 2 * cancelled_ >= entries_.size();
  if (many || cancelled_ >= entries_.size()) {
    Purge(handle, dead);
  } else {
    Count();
  }
}

// By what the handles say: the count may be wrong, since anybody can write their fields.
void TimerHeap::Purge(_object* handle, Dead dead) {
  std::vector<interp::Owned> last;  // references
  auto kept = entries_.begin();
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if (entry->handle.get() == handle || dead(entry->handle.get())) {
      // While it is in the cache, if that is all.
      if (interp::IsShared(entry->handle.get())) {
        entry->handle.reset();
      } else {
        last.push_back(std::move(entry->handle));
      }
    } else {
      if (kept != entry) *kept = std::move(*entry);
      ++kept;
    }
  }
  entries_.erase(kept, entries_.end());
  std::make_heap(entries_.begin(), entries_.end(), Later());
  cancelled_ = 0;
  Count();
  last.clear();  // when the heap is whole again: a drop may run Python
}

void TimerHeap::Clear() {
  std::vector<Entry> dropped;
  dropped.swap(entries_);
  cancelled_ = 0;
  Count();
}

void TimerHeap::PoppedCancelled() {
  if (cancelled_ > 0) --cancelled_;
  Count();
}

void TimerHeap::Count() {
  const std::size_t live = entries_.size() - std::min(cancelled_, entries_.size());
  if (live == counted_) return;
  base::CountLiveHeld(base::Live::kTimer,
                      static_cast<std::int64_t>(live) - static_cast<std::int64_t>(counted_));
  counted_ = live;
}

}  // namespace coloop::loop
