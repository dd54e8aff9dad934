// The poller on Linux.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/counters.h"
#include "base/ticks.h"
#include "interp/ref.h"
#include "loop/channel.h"
#include "loop/poller.h"
#include "loop/running.h"
#include "loop/spin.h"

namespace coloop::loop {

namespace {
constexpr std::size_t kBatch = 256;
// A watch that is removed between a poll and its batch gives one stray event, not a row of them.
constexpr int kStrayBatches = 8;
constexpr std::uint32_t kOwnSerial = 0;  // no watch has it
constexpr int kPauses = 32;              // about a microsecond

// Where there is but one processor, nobody calls while the loop looks.
bool HasOtherProcessors() {
  static const bool has = std::thread::hardware_concurrency() > 1;
  return has;
}
}  // namespace

Poller::~Poller() { Close(); }

bool Poller::Open() {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (epoll_ >= 0 && wake_ >= 0 && timer_ >= 0 && AddOwn(wake_) && AddOwn(timer_)) return true;
  const int error = errno;
  Close();
  errno = error;
  return false;
}

void Poller::Close() {
  for (int* fd : {&epoll_, &wake_, &timer_}) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
  }
}

// Edge-triggered: neither is ever read. Each write to an eventfd is an edge, each expiry of a
// timerfd is one.
bool Poller::AddOwn(int fd) const {
  return Control(EPOLL_CTL_ADD, fd, kOwnSerial, EPOLLIN | EPOLLET);
}

bool Poller::Wake() {
  if (woken_.exchange(true)) return false;
  if (looking_) return true;
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the poll has been woken.
  (void)!write(wake_, &one, sizeof(one));
  return false;
}

void Poller::SetTimer(double when) {
  constexpr double kLatest = 1e9;  // seconds: decades of uptime
  const double bounded = when > 1e-9 ? std::min(when, kLatest) : 1e-9;  // also for no number
  const double seconds = std::floor(bounded);
  itimerspec spec{};
  spec.it_value.tv_sec = static_cast<time_t>(seconds);
  spec.it_value.tv_nsec = static_cast<long>(std::ceil((bounded - seconds) * 1e9));
  if (spec.it_value.tv_nsec >= 1'000'000'000) {
    spec.it_value.tv_nsec -= 1'000'000'000;
    ++spec.it_value.tv_sec;
  }
  timerfd_settime(timer_, TFD_TIMER_ABSTIME, &spec, nullptr);
}

void Poller::Clear() {
  Watches dropped;
  dropped.swap(watches_);
  base::CountLive(base::Live::kWatch, -static_cast<std::int64_t>(dropped.size()));
  events_.clear();
  active_ = 0;
  for (const auto& [fd, watch] : dropped) {
    if (watch.channel != nullptr) watch.channel->Dropped();
  }
}

std::uint32_t Poller::EventsOf(const Watch& watch) {
  std::uint32_t events = (watch.reader ? EPOLLIN : 0U) | (watch.writer ? EPOLLOUT : 0U);
  if (watch.channel == nullptr) return events;
  const bool level = watch.channel->level();
  if (watch.channel_writes) events |= EPOLLOUT;
  // Handles want to be told again and again, and do not mind urgent data, as with asyncio.
  if (watch.channel->passive() && (watch.reader || watch.writer)) {
    return level ? events | EPOLLIN | EPOLLRDHUP : events;
  }
  events |= EPOLLIN | EPOLLRDHUP;
  return level && !watch.channel->passive() ? events : events | EPOLLET | EPOLLPRI;
}

bool Poller::IsActive(const Watch& watch) {
  return watch.reader || watch.writer || (watch.channel != nullptr && !watch.channel->passive());
}

bool Poller::Control(int operation, int fd, std::uint32_t serial, std::uint32_t events) const {
  epoll_event event{};
  event.events = events;
  event.data.u64 = std::uint64_t{serial} << 32U | static_cast<std::uint32_t>(fd);
  return epoll_ctl(epoll_, operation, fd, &event) == 0;
}

bool Poller::Add(int fd, std::uint32_t serial, std::uint32_t events) const {
  if (Control(EPOLL_CTL_ADD, fd, serial, events)) return true;
  // Known to the kernel, not to us: a duplicate of a descriptor that was closed while watched.
  return errno == EEXIST && Control(EPOLL_CTL_MOD, fd, serial, events);
}

bool Poller::Update(int fd, Watch& watch, std::uint32_t events) {
  has_news_ = true;
  const bool known = watch.serial != 0;
  if (known && Control(EPOLL_CTL_MOD, fd, watch.serial, events)) return true;
  if (known && errno != ENOENT) return false;  // else: closed, and its number used again
  const std::uint32_t serial = last_serial_ + 1;
  if (!Add(fd, serial, events)) return false;
  last_serial_ = serial;
  watch.serial = serial;
  return true;
}

bool Poller::Set(int fd, bool writer, interp::Owned handle, interp::Owned* previous) {
  const auto [found, added] = watches_.try_emplace(fd);
  Watch& watch = found->second;
  const bool active = IsActive(watch);
  interp::Owned& kept = writer ? watch.writer : watch.reader;
  std::swap(kept, handle);
  if (!Update(fd, watch, EventsOf(watch))) {
    std::swap(kept, handle);
    if (added) watches_.erase(found);
    return false;
  }
  if (added) base::CountLive(base::Live::kWatch, 1);
  if (!active) ++active_;
  if (watch.channel != nullptr) watch.channel->Shared(true);
  *previous = std::move(handle);
  return true;
}

interp::Owned Poller::Remove(int fd, bool writer) {
  const auto found = watches_.find(fd);
  if (found == watches_.end()) return interp::Owned();
  Watch& watch = found->second;
  interp::Owned handle = std::move(writer ? watch.writer : watch.reader);
  if (!handle) return handle;
  if (!IsActive(watch)) --active_;
  if (watch.channel != nullptr) watch.channel->Shared(watch.reader || watch.writer);
  Shrink(found, true);
  return handle;
}

// Something was taken out of the watch.
void Poller::Shrink(Watches::iterator found, bool kernel_too) {
  Watch& watch = found->second;
  const std::uint32_t events = EventsOf(watch);
  // A closed descriptor has left the kernel's set by itself.
  if (events != 0) {
    if (kernel_too) (void)Control(EPOLL_CTL_MOD, found->first, watch.serial, events);
    return;
  }
  if (kernel_too && watch.serial != 0) {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, found->first, nullptr);
  }
  watches_.erase(found);
  base::CountLive(base::Live::kWatch, -1);
}

void Poller::Take(Watch& watch, Channel& channel) {
  if (watch.channel == &channel) return;
  if (IsActive(watch)) --active_;
  Channel* previous = std::exchange(watch.channel, &channel);
  if (IsActive(watch)) ++active_;
  const interp::Owned dropped =
      std::exchange(watch.channel_object, interp::Owned::NewRef(channel.object()));
  if (previous != nullptr) previous->Dropped();
  channel.Shared(watch.reader || watch.writer);
}

void Poller::Reserve(int fd, Channel& channel) {
  const auto [found, added] = watches_.try_emplace(fd);
  if (added) base::CountLive(base::Live::kWatch, 1);
  Take(found->second, channel);
}

bool Poller::Attach(int fd, Channel& channel) {
  const auto [found, added] = watches_.try_emplace(fd);
  Watch& watch = found->second;
  Channel* previous = std::exchange(watch.channel, &channel);
  const bool writes = std::exchange(watch.channel_writes, false);
  const bool watched = Update(fd, watch, EventsOf(watch));
  watch.channel = previous;
  if (!watched) {
    watch.channel_writes = writes;
    if (added) watches_.erase(found);
    return false;
  }
  if (added) base::CountLive(base::Live::kWatch, 1);
  Take(watch, channel);
  return true;
}

void Poller::WatchWritable(int fd, bool on) {
  const auto found = watches_.find(fd);
  if (found == watches_.end()) return;
  found->second.channel_writes = on;
  UpdateChannel(fd);
}

void Poller::Hold(int fd, const Channel& channel, bool held) {
  const auto found = watches_.find(fd);
  if (found == watches_.end() || found->second.channel != &channel) return;
  const interp::Owned dropped =
      std::exchange(found->second.channel_object,
                    held ? interp::Owned::NewRef(channel.object()) : interp::Owned());
}

void Poller::UpdateChannel(int fd) {
  const auto found = watches_.find(fd);
  if (found == watches_.end() || found->second.serial == 0) return;
  Watch& watch = found->second;
  // Where the descriptor was closed, what the kernel may go on telling of it is nobody's now.
  if (!Control(EPOLL_CTL_MOD, fd, watch.serial, EventsOf(watch))) watch.serial = 0;
}

void Poller::Detach(int fd, const Channel& channel, bool kernel_too) {
  const auto found = watches_.find(fd);
  if (found == watches_.end() || found->second.channel != &channel) return;
  Watch& watch = found->second;
  const interp::Owned dropped = std::move(watch.channel_object);
  if (IsActive(watch)) --active_;
  watch.channel = nullptr;
  if (IsActive(watch)) ++active_;
  Shrink(found, kernel_too);
}

Channel* Poller::FindChannel(int fd) const {
  const auto found = watches_.find(fd);
  return found == watches_.end() ? nullptr : found->second.channel;
}

_object* Poller::Find(int fd, bool writer) const {
  const auto found = watches_.find(fd);
  if (found == watches_.end()) return nullptr;
  return writer ? found->second.writer.get() : found->second.reader.get();
}

Poller::Found Poller::Find(const Event& event) {
  const auto found = watches_.find(event.fd);
  if (found == watches_.end() || found->second.serial != event.serial) {
    stray_ = true;
    return Found();
  }
  const Watch& watch = found->second;
  return Found{event.readable ? watch.reader.get() : nullptr,
               event.writable ? watch.writer.get() : nullptr, watch.channel};
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
  (void)AddOwn(wake_);
  (void)AddOwn(timer_);
  for (const auto& [fd, watch] : watches_) {
    if (watch.serial == 0) continue;
    // Fails for a descriptor that was closed: nothing reports for it any more.
    (void)Add(fd, watch.serial, EventsOf(watch));
  }
}

Poller::Polled Poller::Poll(bool wait) {
  std::array<epoll_event, kBatch> ready;
  has_news_ = false;
  const int count = epoll_wait(epoll_, ready.data(), kBatch, wait ? -1 : 0);
  const bool woken = woken_.exchange(false);  // before the loop looks at what it was woken for
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = ready[static_cast<std::size_t>(i)];
    if (event.data.u64 >> 32U == kOwnSerial) continue;
    // As the selectors module: an error or a hang-up wakes both directions.
    events_.push_back(Event{
        static_cast<int>(event.data.u64 & 0xFFFFFFFFU),
        static_cast<std::uint32_t>(event.data.u64 >> 32U), (event.events & ~EPOLLOUT) != 0,
        (event.events & ~(EPOLLIN | EPOLLRDHUP | EPOLLPRI)) != 0,
        (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0, (event.events & EPOLLPRI) != 0});
  }
  return Polled{count != 0, woken};
}

void Poller::Wait() {
  if (!spin_.expected()) {
    spin_.Ended(Poll(true).woken);
    return;
  }
  const std::uint64_t start = MonotonicNanoseconds();
  const std::uint64_t budget = HasOtherProcessors() ? spin_.budget() : 0;
  Polled polled{false, false};
  if (budget != 0) polled = LookFor(budget);
  if (!polled.any && !polled.woken) polled = Poll(true);
  spin_.EndedAfter(MonotonicNanoseconds() - start, budget, polled.woken);
}

// For what other threads say, and every microsecond or so for what the kernel says.
Poller::Polled Poller::LookFor(std::uint64_t nanoseconds) {
  const std::uint64_t end = MonotonicNanoseconds() + nanoseconds;
  looking_ = true;
  Polled polled{false, false};
  do {
    for (int i = 0; i < kPauses && !woken_.load(std::memory_order_relaxed); ++i) base::Pause();
    polled = Poll(false);
  } while (!polled.any && !polled.woken && MonotonicNanoseconds() < end);
  looking_ = false;
  // Whoever called between that poll and this did without the kernel.
  if (woken_.exchange(false)) polled.woken = true;
  return polled;
}

}  // namespace coloop::loop
