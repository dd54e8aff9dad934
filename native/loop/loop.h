// The native half of ErlangEventLoop: ready queue, timers, watches, and how it is driven.
//
// Hosted: its handles sit on the host's uv loop. prepare and check run what is ready, idle keeps
// the poll at zero while callbacks are left, and what was noted during the poll is served as one
// batch under one GIL acquisition. Owned: run by the thread that calls run_forever, which waits on
// the poller itself; libuv has no part in it.
//
// The Python object owns it. Its methods are for the loop's own thread, but for CallSoonThreadsafe
// and Wake. Programs do call others from elsewhere, which asyncio lets pass: what touches libuv is
// then left to the loop's thread, which is woken.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "interp/gil.h"
#include "interp/ref.h"
#include "interp/run.h"
#include "loop/host.h"
#include "loop/metrics.h"
#include "loop/poller.h"
#include "loop/ready_queue.h"
#include "loop/timer_heap.h"

namespace coloop::loop {

class Channel;
class ServedThread;
struct UvHandles;

class Loop {
 public:
  Loop() = default;
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // The native loop of an instance of _coloop.Loop; null for anything else.
  [[nodiscard]] static Loop* From(const interp::Gil& gil, _object* object);

  // Opens the poller, and with a host the handles on its uv loop. False with errno set.
  [[nodiscard]] bool Open(_object* self, LoopHost* host);
  // Drops everything queued and closes the handles; `closed` runs when libuv has let go of those of
  // a hosted loop.
  void Close(const interp::Gil& gil, void (*closed)(void*), void* data);
  // Past the exit sequence, without the GIL: only the handles are closed.
  void CloseHandles(void (*closed)(void*), void* data);
  // The Python object is gone.
  void Abandon(const interp::Gil& gil);

  [[nodiscard]] _object* object() const { return self_; }
  // A callback of it runs, here or, while it has no GIL, on its thread.
  [[nodiscard]] bool in_callback() const { return in_callback_; }
  [[nodiscard]] bool opened() const { return opened_; }
  [[nodiscard]] bool hosted() const { return host_ != nullptr; }
  [[nodiscard]] bool draining() const { return draining_; }
  [[nodiscard]] bool HasReady() const { return !ready_.empty() || stale_; }

  // A hosted loop's ready callbacks, when an outermost synchronous call from JavaScript ends:
  // bounded by time, the rest is left to libuv.
  void Drain(const interp::Gil& gil);
  // One owned iteration after another until stopping(). False with an exception set:
  // KeyboardInterrupt and SystemExit leave the loop.
  [[nodiscard]] bool RunUntilStopped(const interp::Gil& gil);
  // Why it is not for this thread to run or close it; null if it is.
  [[nodiscard]] const char* ObstacleToRun() const;
  // Whether another thread is in RunUntilStopped(), whatever `thread_id` was made to say. GIL held.
  [[nodiscard]] bool RunsElsewhere() const {
    return runs_ > 0 && runner_ != std::this_thread::get_id();
  }

  void CallSoon(interp::Owned handle);
  void CallAt(double when, interp::Owned handle);
  void TimerCancelled(_object* handle);
  void CallSoonThreadsafe(const interp::Gil& gil, interp::Owned handle);
  // True as Poller::Wake's.
  bool Wake();
  // An owned loop that waits, or is about to. GIL held.
  void WakeIfWaiting() {
    if (polling_) Wake();
  }
  // Wakes it, and Python's own checks (an exception set for its thread) are made. GIL held.
  void Interrupt();

  // Watches `fd`; the handle that was there before, if any. False with errno set.
  [[nodiscard]] bool Watch(int fd, bool writer, interp::Owned handle, interp::Owned* previous);
  [[nodiscard]] interp::Owned Unwatch(int fd, bool writer);
  [[nodiscard]] bool Watched(int fd, bool writer) const {
    return poller_.Find(fd, writer) != nullptr;
  }

  // `fd` is a channel's, and served by it; see Poller. False with errno set.
  void Reserve(int fd, Channel& channel) { poller_.Reserve(fd, channel); }
  [[nodiscard]] bool Attach(int fd, Channel& channel);
  void Detach(int fd, const Channel& channel, bool kernel_too);
  void WatchWritable(int fd, bool on) { poller_.WatchWritable(fd, on); }
  void Hold(int fd, const Channel& channel, bool held) { poller_.Hold(fd, channel, held); }
  void UpdateChannel(int fd) { poller_.UpdateChannel(fd); }
  [[nodiscard]] Channel* FindChannel(int fd) const { return poller_.FindChannel(fd); }
  // Runs it when its turn comes; once, however often it is queued until then.
  void Queue(Channel& channel);
  // The same, but from a callback not before what callbacks of its generation queue: as if the next
  // look at the descriptors told of it.
  void QueueLast(Channel& channel);
  // True if a callback of this loop runs on this thread: Flush will be called when it returns.
  [[nodiscard]] bool FlushLater(Channel& channel);
  // A number of the callback that runs.
  [[nodiscard]] std::uint64_t callbacks() const { return callbacks_; }
  // Room for reads, kScratchSize bytes, until the next callback.
  [[nodiscard]] char* Scratch();
  static constexpr std::size_t kScratchSize = std::size_t{256} * 1024;  // as asyncio's max_size

  // Work in flight that libuv does not know of keeps the host alive.
  void Ref();
  void Unref();  // one for each Ref
  [[nodiscard]] std::int64_t references() const { return references_; }

  // The same for one call on a socket, from the loop's channels.
  void BeginWait();
  void EndWait();

  // A dict of what it can say of itself; null with an exception set.
  [[nodiscard]] interp::Owned Metrics(const interp::Gil& gil) const;

  // Seconds of the monotonic clock, in nanosecond steps.
  [[nodiscard]] static double Now();
  // What timers go by: that, or the program's own time(). False with its exception set.
  [[nodiscard]] bool TimerNow(const interp::Gil& gil, double* now);
  // Asks a time() of the program's own what the poller's timer is to be set by.
  [[nodiscard]] bool AskTime(const interp::Gil& gil);
  void SetOwnTime(bool own) {
    own_time_ = own;
    time_offset_ = 0;
  }

  int Traverse(int (*visit)(_object*, void*), void* argument) const;
  void Clear(const interp::Gil& gil);

  // asyncio's own fields, read and written by inherited code.
  bool stopping = false;
  bool closed = true;
  bool debug = false;
  bool starting_task = false;   // RunAwaitable is in the first step of a Task that starts at once
  std::uint64_t thread_id = 0;  // 0: not running

  interp::Owned future_keywords;  // what create_future() makes a Future with, once it did

 private:
  friend struct UvHandles;

  [[nodiscard]] UvHandles* EndWakes();
  [[nodiscard]] bool OnOwnThread() const { return std::this_thread::get_id() == thread_; }
  bool CollectReady(const interp::Gil& gil);
  void CollectLast();
  // Whether a callback of this loop runs, and this is its thread.
  [[nodiscard]] bool InCallback() const;
  void CollectEvents();
  void CollectHandle(int fd, bool writer, _object* handle);
  bool RunGenerations(const interp::Gil& gil);
  bool LookBetween(const interp::Gil& gil);
  [[nodiscard]] bool LookAgain(const interp::Gil& gil);
  void LookOften();
  bool RunHandle(const interp::Gil& gil, _object* handle);
  bool RunChannel(const interp::Gil& gil, Channel& channel);
  bool FlushWritten(const interp::Gil& gil);
  bool FlushAfter(const interp::Gil& gil, bool stays);
  bool ReportChannelFailure(const interp::Gil& gil, const Channel& channel);
  void PushReady(interp::Owned object, Channel* channel);
  bool RunBatch(const interp::Gil& gil);
  bool Checkpoint();
  // Static: the batch may end the loop itself.
  static void HostedTurn(UvHandles& handles);
  void ArmTimer();
  void ScheduleIdle();
  void UpdateReferences();
  void UpdateFromAnyThread();
  bool PollOnce(const interp::Gil& gil, const ServedThread& served);

  _object* self_ = nullptr;  // borrowed
  LoopHost* host_ = nullptr;
  interp::Run* run_ = nullptr;  // a hosted loop's, while it drains
  unsigned look_interval_ = 1;  // generations from one look at the descriptors to the next
  unsigned vain_looks_ = 0;
  bool began_with_events_ = false;  // the batch that runs, or ran last
  unsigned pass_looks_ = 0;         // after how many batches the next one looks again at its end
  unsigned passed_looks_ = 0;
  bool opened_ = false;
  UvHandles* handles_ = nullptr;  // hosted only; owned by libuv's close callbacks
  ReadyQueue ready_;
  TimerHeap timers_;
  Poller poller_;
  std::vector<Channel*> written_;  // to flush; each object has a reference
  std::vector<Channel*> last_;     // to queue after a generation; each object has a reference
  bool in_callback_ = false;
  std::uint64_t callbacks_ = 0;
  std::unique_ptr<char[]> scratch_;
  std::int64_t references_ = 0;
  std::int64_t waits_ = 0;  // BeginWait without an EndWait
  bool draining_ = false;
  bool idle_ = false;
  bool own_time_ = false;                      // time() is the program's
  double time_offset_ = 0;                     // of Now() to it, when it was last asked
  double armed_for_ = kNever;                  // the time that the poller's timer was last set for
  std::thread::id thread_;                     // the host's; an owned loop may move
  std::thread::id runner_;                     // owned: whose RunUntilStopped() it is
  int runs_ = 0;                               // how many there are, one in another's callback
  std::atomic<bool> stale_{false};             // another thread changed what libuv must be told of
  std::atomic<bool> interrupted_{false};       // Python's own checks are due
  std::atomic<bool> polling_{false};           // owned: waits, or is about to
  std::atomic<std::uint64_t> waits_begun_{0};  // owned: since then it does not hold the GIL
  std::uint64_t last_threadsafe_ = 0;          // when call_soon_threadsafe last found it waiting
  std::mutex wake_mutex_;                      // guards waking against Close
  Lag lag_;
  std::uint64_t iterations_ = 0;  // batches of callbacks

  static constexpr double kNever = std::numeric_limits<double>::infinity();
};

// An ErlangEventLoop on the host's uv loop; null with an exception set, and `closed` runs once
// nothing is left of it.
[[nodiscard]] interp::Owned NewHosted(const interp::Gil& gil, LoopHost* host, void (*closed)(void*),
                                      void* data);
// Ends it. `closed` runs on this thread when the last uv handle is closed.
void CloseHosted(const interp::Gil& gil, _object* loop, void (*closed)(void*), void* data);

// interp::ModulePart: `_coloop.Loop` and `hosted_loop`.
[[nodiscard]] bool AddToModule(const interp::Gil& gil, _object* module);

}  // namespace coloop::loop
