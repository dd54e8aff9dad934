// The poller on Linux.
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>

#include "base/counters.h"
#include "interp/ref.h"
#include "loop/poller.h"

namespace coloop::loop {

namespace {
constexpr std::size_t kBatch = 256;
// A watch that is removed between a poll and its batch gives one stray event, not a row of them.
constexpr int kStrayBatches = 8;
}  // namespace

Poller::~Poller() { Close(); }

bool Poller::Open() {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  return epoll_ >= 0;
}

void Poller::Close() {
  if (epoll_ >= 0) close(epoll_);
  epoll_ = -1;
}

void Poller::Clear() {
  std::unordered_map<int, Watch> dropped;
  dropped.swap(watches_);
  base::CountLive(base::Live::kWatch, -static_cast<std::int64_t>(dropped.size()));
  events_.clear();
}

bool Poller::Control(int operation, int fd, std::uint32_t serial, bool reader, bool writer) const {
  epoll_event event{};
  event.events = (reader ? EPOLLIN : 0U) | (writer ? EPOLLOUT : 0U);
  event.data.u64 = std::uint64_t{serial} << 32U | static_cast<std::uint32_t>(fd);
  return epoll_ctl(epoll_, operation, fd, &event) == 0;
}

bool Poller::Add(int fd, std::uint32_t serial, bool reader, bool writer) const {
  if (Control(EPOLL_CTL_ADD, fd, serial, reader, writer)) return true;
  // Known to the kernel, not to us: a duplicate of a descriptor that was closed while watched.
  return errno == EEXIST && Control(EPOLL_CTL_MOD, fd, serial, reader, writer);
}

bool Poller::Set(int fd, bool writer, interp::Owned handle, interp::Owned* previous) {
  const auto found = watches_.find(fd);
  const bool known = found != watches_.end();
  const bool reads = !writer || (known && found->second.reader);
  const bool writes = writer || (known && found->second.writer);
  std::uint32_t serial = known ? found->second.serial : 0;
  if (!known || !Control(EPOLL_CTL_MOD, fd, serial, reads, writes)) {
    if (known && errno != ENOENT) return false;  // else: closed, and its number used again
    serial = ++last_serial_;
    if (!Add(fd, serial, reads, writes)) return false;
  }
  if (!known) base::CountLive(base::Live::kWatch, 1);
  Watch& watch = known ? found->second : watches_[fd];
  watch.serial = serial;
  interp::Owned& slot = writer ? watch.writer : watch.reader;
  *previous = std::exchange(slot, std::move(handle));
  return true;
}

interp::Owned Poller::Remove(int fd, bool writer) {
  const auto found = watches_.find(fd);
  if (found == watches_.end()) return interp::Owned();
  Watch& watch = found->second;
  interp::Owned handle = std::move(writer ? watch.writer : watch.reader);
  if (!handle) return handle;
  if (watch.reader || watch.writer) {
    // A closed descriptor has left the kernel's set by itself.
    (void)Control(EPOLL_CTL_MOD, fd, watch.serial, static_cast<bool>(watch.reader),
                  static_cast<bool>(watch.writer));
  } else {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
    watches_.erase(found);
    base::CountLive(base::Live::kWatch, -1);
  }
  return handle;
}

_object* Poller::Find(int fd, bool writer) const {
  const auto found = watches_.find(fd);
  if (found == watches_.end()) return nullptr;
  return writer ? found->second.writer.get() : found->second.reader.get();
}

_object* Poller::FindFor(const Event& event, bool writer) {
  const auto found = watches_.find(event.fd);
  if (found == watches_.end() || found->second.serial != event.serial) {
    stray_ = true;
    return nullptr;
  }
  return writer ? found->second.writer.get() : found->second.reader.get();
}

bool Poller::NeedsRenewal() {
  stray_batches_ = stray_ ? stray_batches_ + 1 : 0;
  stray_ = false;
  return stray_batches_ >= kStrayBatches;
}

void Poller::Renew() {
  stray_batches_ = 0;
  const int fresh = epoll_create1(EPOLL_CLOEXEC);
  if (fresh < 0) return;  // out of descriptors: tried again after the next strays
  dup3(fresh, epoll_, O_CLOEXEC);
  close(fresh);
  for (const auto& [fd, watch] : watches_) {
    // Fails for a descriptor that was closed: nothing reports for it any more.
    (void)Add(fd, watch.serial, static_cast<bool>(watch.reader), static_cast<bool>(watch.writer));
  }
}

void Poller::Note() {
  std::array<epoll_event, kBatch> ready;
  const int count = epoll_wait(epoll_, ready.data(), kBatch, 0);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = ready[static_cast<std::size_t>(i)];
    // As the selectors module: an error or a hang-up wakes both directions.
    events_.push_back(Event{static_cast<int>(event.data.u64 & 0xFFFFFFFFU),
                            static_cast<std::uint32_t>(event.data.u64 >> 32U),
                            (event.events & ~EPOLLOUT) != 0, (event.events & ~EPOLLIN) != 0});
  }
}

}  // namespace coloop::loop
