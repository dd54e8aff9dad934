// The poller on Linux.
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/counters.h"
#include "loop/poller.h"

namespace coloop::loop {

namespace {
constexpr std::size_t kBatch = 256;
}  // namespace

Poller::~Poller() {
  if (epoll_ >= 0) close(epoll_);
}

bool Poller::Open() {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  return epoll_ >= 0;
}

void Poller::Close() {
  std::unordered_map<int, Watch> dropped;
  dropped.swap(watches_);
  base::CountLive(base::Live::kWatch, -static_cast<std::int64_t>(dropped.size()));
  events_.clear();
  if (epoll_ >= 0) close(epoll_);
  epoll_ = -1;
}

bool Poller::Control(int fd, bool reader, bool writer, bool known) const {
  epoll_event event{};
  event.events = (reader ? EPOLLIN : 0U) | (writer ? EPOLLOUT : 0U);
  event.data.fd = fd;
  if (known) {
    if (epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0) return true;
    if (errno != ENOENT) return false;  // else: closed, and its number used again
  }
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0) return true;
  // Known to the kernel, not to us: a duplicate of a descriptor that was closed while watched.
  return errno == EEXIST && epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0;
}

bool Poller::Set(int fd, bool writer, interp::Owned handle, interp::Owned* previous) {
  const auto found = watches_.find(fd);
  const bool known = found != watches_.end();
  const bool reads = !writer || (known && found->second.reader);
  const bool writes = writer || (known && found->second.writer);
  if (!Control(fd, reads, writes, known)) return false;
  if (!known) base::CountLive(base::Live::kWatch, 1);
  Watch& watch = known ? found->second : watches_[fd];
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
    (void)Control(fd, static_cast<bool>(watch.reader), static_cast<bool>(watch.writer), true);
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

void Poller::Note() {
  std::array<epoll_event, kBatch> ready;
  const int count = epoll_wait(epoll_, ready.data(), kBatch, 0);
  for (int i = 0; i < count; ++i) {
    const std::uint32_t bits = ready[static_cast<std::size_t>(i)].events;
    // As the selectors module: an error or a hang-up wakes both directions.
    events_.push_back(Event{ready[static_cast<std::size_t>(i)].data.fd, (bits & ~EPOLLOUT) != 0,
                            (bits & ~EPOLLIN) != 0});
  }
}

}  // namespace coloop::loop
