// Readiness of descriptors: one epoll of our own, nested in the uv loop by a single uv_poll_t on
// its descriptor. Watches are level-triggered, those of channels edge-triggered. So all that is
// ready comes as one batch, a descriptor that is closed while it is watched cannot leave libuv's
// table stale, and no descriptor's blocking mode is changed.
//
// The kernel watches what a descriptor stands for, not its number: closed while a duplicate lives,
// it goes on reporting, and can no longer be taken out. So each watch has a serial number that its
// events carry; those of others are dropped, and if they do not end, the epoll is made anew.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "interp/ref.h"
#include "loop/spin.h"

namespace coloop::loop {

class Channel;

class Poller {
 public:
  struct Event {
    int fd;
    std::uint32_t serial;
    bool readable;
    bool writable;
    bool hung_up;
    bool urgent;
  };

  Poller() = default;
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  [[nodiscard]] bool Open();
  void Clear();  // drops all watches; GIL held
  void Close();  // after libuv has let go of the descriptor
  [[nodiscard]] int descriptor() const { return epoll_; }
  // How many watches keep a host alive: all but those of passive channels.
  [[nodiscard]] std::size_t active() const { return active_; }

  // Sets the handle of one direction; `previous` gets the one before. False with errno set, and
  // then nothing has changed. GIL held.
  [[nodiscard]] bool Set(int fd, bool writer, interp::Owned handle, interp::Owned* previous);
  // Takes the handle of one direction away. GIL held.
  [[nodiscard]] interp::Owned Remove(int fd, bool writer);
  // The handle of one direction, borrowed; null if there is none. GIL held.
  [[nodiscard]] _object* Find(int fd, bool writer) const;

  // From now on `fd` is the channel's; the one that had it is dropped. Nothing new is watched
  // before Attach. GIL held.
  void Reserve(int fd, Channel& channel);
  // Serves `fd` by a channel, for reading; the one that had it is dropped. False with errno set.
  // GIL held.
  [[nodiscard]] bool Attach(int fd, Channel& channel);
  // Also for writing, or no more: reports at once if it is writable.
  void WatchWritable(int fd, bool on);
  // Whether the channel's object is kept, as it is from the start: else it may be garbage.
  void Hold(int fd, const Channel& channel, bool held);
  // What its level() says has changed.
  void UpdateChannel(int fd);
  // `kernel_too`: false when the descriptor, which nobody else has, is closed next.
  void Detach(int fd, const Channel& channel, bool kernel_too);
  [[nodiscard]] Channel* FindChannel(int fd) const;

  // Notes what is ready. GIL not needed.
  void Note() { (void)Poll(false); }
  // The same after a wait for it. GIL not held.
  void Wait();
  // The next poll, or the one that waits now, returns. True where the loop's thread does not sleep
  // but looks for this very call: it is there at once. Any thread, GIL not needed.
  bool Wake();
  // Somebody has called that since the last poll: to call it costs nothing now.
  [[nodiscard]] bool woken() const { return woken_; }
  // A poll returns at that time of Loop::Now(), to the nanosecond, and not before.
  void SetTimer(double when);
  // Whether something is watched that was not yet at the last poll. GIL held.
  [[nodiscard]] bool has_news() const { return has_news_; }
  [[nodiscard]] bool has_events() const { return !events_.empty(); }
  [[nodiscard]] const std::vector<Event>& events() const { return events_; }
  void ClearEvents() { events_.clear(); }
  // Whom an event is for: nobody if its watch is gone. All borrowed. GIL held.
  struct Found {
    _object* reader = nullptr;
    _object* writer = nullptr;
    Channel* channel = nullptr;
  };
  [[nodiscard]] Found Find(const Event& event);
  // After a batch of events: true when those of watches that are gone do not end.
  [[nodiscard]] bool NeedsRenewal();
  // Makes the epoll anew behind the same descriptor, while libuv does not watch that.
  void Renew();

  // For each descriptor, `visit` gets whether handles watch it, and its channel or null.
  template <typename Visit>
  void VisitWatches(Visit visit) const {
    for (const auto& [fd, watch] : watches_) visit(watch.reader || watch.writer, watch.channel);
  }

  template <typename Visit>
  int Traverse(Visit visit) const {
    for (const auto& [fd, watch] : watches_) {
      for (const interp::Owned* handle : {&watch.reader, &watch.writer, &watch.channel_object}) {
        if (!*handle) continue;
        const int result = visit(handle->get());
        if (result != 0) return result;
      }
    }
    return 0;
  }

 private:
  struct Watch {
    interp::Owned reader;
    interp::Owned writer;
    std::uint32_t serial = 0;  // 0: only reserved, the kernel does not know it
    Channel* channel = nullptr;
    interp::Owned channel_object;
    bool channel_writes = false;
  };

  using Watches = std::unordered_map<int, Watch>;

  // What the kernel is to report of a watch.
  [[nodiscard]] static std::uint32_t EventsOf(const Watch& watch);
  [[nodiscard]] static bool IsActive(const Watch& watch);
  [[nodiscard]] bool Add(int fd, std::uint32_t serial, std::uint32_t events) const;
  [[nodiscard]] bool Control(int operation, int fd, std::uint32_t serial,
                             std::uint32_t events) const;
  // Brings the kernel to `events`. False with errno set.
  [[nodiscard]] bool Update(int fd, Watch& watch, std::uint32_t events);
  void Shrink(Watches::iterator found, bool kernel_too);
  // Gives the watch to the channel.
  void Take(Watch& watch, Channel& channel);

  // Puts a descriptor of our own in the epoll: its events say nothing but that a poll returned.
  [[nodiscard]] bool AddOwn(int fd) const;

  struct Polled {
    bool any;    // something was reported
    bool woken;  // somebody called Wake since the poll before
  };
  [[nodiscard]] Polled Poll(bool wait);
  [[nodiscard]] Polled LookFor(std::uint64_t nanoseconds);

  int epoll_ = -1;
  int wake_ = -1;
  int timer_ = -1;
  std::atomic<bool> woken_{false};    // since the last poll
  std::atomic<bool> looking_{false};  // `woken_` is seen without the kernel
  Spin spin_;
  Watches watches_;
  std::vector<Event> events_;
  std::size_t active_ = 0;
  std::uint32_t last_serial_ = 0;
  std::atomic<bool> has_news_{false};
  bool stray_ = false;     // the batch has an event of a watch that is gone
  int stray_batches_ = 0;  // so many batches in a row had
};

}  // namespace coloop::loop
