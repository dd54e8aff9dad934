// The loop's state: queueing, running, and the owned iteration.
#include "loop/loop.h"

#include <Python.h>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/counters.h"
#include "base/ticks.h"
#include "interp/error.h"
#include "interp/gil.h"
#include "interp/ref.h"
#include "loop/channel.h"
#include "loop/handle.h"
#include "loop/ready_queue.h"
#include "loop/running.h"
#include "loop/task.h"
#include "loop/uv_handles.h"

namespace coloop::loop {

using interp::Owned;

namespace {
// Calls from another thread that are closer together than this are a flood.
constexpr std::uint64_t kFloodNanoseconds = 5'000;
// How often such a call looks whether the loop is done with it: for 5 to 15 us, as long as it would
// take to be put to sleep and woken.
constexpr int kGiveWay = 300;
}  // namespace

Loop::~Loop() = default;

double Loop::Now() { return static_cast<double>(MonotonicNanoseconds()) * 1e-9; }

bool Loop::Open(_object* self, LoopHost* host) {
  self_ = self;
  if (!poller_.Open()) return false;
  if (host != nullptr) {
    handles_ = UvHandles::Open(*this, *host, poller_.descriptor());
    if (handles_ == nullptr) {
      poller_.Close();
      return false;
    }
  }
  host_ = host;
  opened_ = true;
  thread_ = std::this_thread::get_id();
  base::CountLive(base::Live::kLoop, 1);
  closed = false;
  return true;
}

void Loop::Close(const interp::Gil& gil, void (*on_closed)(void*), void* data) {
  UvHandles* handles = EndWakes();
  Clear(gil);
  if (handles != nullptr) handles->Close(on_closed, data);
  poller_.Close();
}

void Loop::CloseHandles(void (*on_closed)(void*), void* data) {
  EndWakes()->Close(on_closed, data);
  poller_.Close();
}

// Nobody wakes it from here on. Its uv handles, if it is hosted.
UvHandles* Loop::EndWakes() {
  COLOOP_CHECK(opened_);
  closed = true;
  thread_id = 0;
  base::CountLive(base::Live::kLoop, -1);
  const std::lock_guard<std::mutex> lock(wake_mutex_);
  opened_ = false;
  return std::exchange(handles_, nullptr);
}

void Loop::Abandon(const interp::Gil& gil) {
  self_ = nullptr;
  if (opened_) Close(gil, nullptr, nullptr);
}

void Loop::CallSoon(Owned handle) { PushReady(std::move(handle), nullptr); }

void Loop::PushReady(Owned object, Channel* channel) {
  ready_.Push(std::move(object), channel);
  if (host_ == nullptr || draining_) return;
  if (OnOwnThread()) {
    ScheduleIdle();
  } else {
    Wake();
  }
}

void Loop::CallAt(double when, Owned handle) {
  timers_.Push(when, std::move(handle));
  if (host_ != nullptr && !draining_) UpdateFromAnyThread();
}

void Loop::TimerCancelled(_object* handle) {
  timers_.Cancelled(handle, IsCancelled);
  if (host_ != nullptr && !draining_) UpdateFromAnyThread();
}

void Loop::CallSoonThreadsafe(const interp::Gil& gil, Owned handle) {
  // The queue needs no lock of its own: Python calls this with the GIL held.
  ready_.Push(std::move(handle));
  // An owned loop that does not wait looks at its queue before it does.
  if (host_ == nullptr && !polling_) return;
  const std::uint64_t now = MonotonicNanoseconds();
  const bool flood = now - std::exchange(last_threadsafe_, now) < kFloodNanoseconds;
  if (flood || poller_.woken() || OnOwnThread()) {
    Wake();
    return;
  }
  // Another thread wakes it without the GIL, or the loop would run into that. One that calls again
  // and again keeps it: then the loop has much to do when it gets it.
  const std::uint64_t waits = waits_begun_;
  const interp::GilRelease release(gil);
  if (!Wake()) return;
  // It is there at once: whoever asks for the GIL while it has that would be put to sleep.
  for (int i = 0; i < kGiveWay && waits_begun_ == waits; ++i) base::Pause();
}

bool Loop::Wake() {
  const std::lock_guard<std::mutex> lock(wake_mutex_);
  return opened_ && poller_.Wake();
}

void Loop::Interrupt() {
  interrupted_ = true;
  Wake();
}

bool Loop::Watch(int fd, bool writer, Owned handle, Owned* previous) {
  if (!poller_.Set(fd, writer, std::move(handle), previous)) return false;
  UpdateFromAnyThread();
  return true;
}

Owned Loop::Unwatch(int fd, bool writer) {
  Owned handle = poller_.Remove(fd, writer);
  if (handle) UpdateFromAnyThread();
  return handle;
}

bool Loop::Attach(int fd, Channel& channel) {
  if (!poller_.Attach(fd, channel)) return false;
  UpdateFromAnyThread();
  return true;
}

void Loop::Detach(int fd, const Channel& channel, bool kernel_too) {
  poller_.Detach(fd, channel, kernel_too);
  UpdateFromAnyThread();
}

void Loop::Queue(Channel& channel) {
  if (channel.queued_ || closed) return;
  channel.queued_ = true;
  PushReady(Owned::NewRef(channel.object()), &channel);
}

bool Loop::InCallback() const {
  return in_callback_ && !closed && thread_id == PyThread_get_thread_ident();
}

void Loop::QueueLast(Channel& channel) {
  if (!InCallback()) return Queue(channel);
  if (channel.queued_) return;
  channel.queued_ = true;
  last_.push_back(&channel);
  Py_INCREF(channel.object());
}

void Loop::CollectLast() {
  std::vector<Channel*> last;
  last.swap(last_);
  for (Channel* channel : last) {
    channel->queued_ = false;
    const Owned object(channel->object());
    Queue(*channel);
  }
}

bool Loop::FlushLater(Channel& channel) {
  if (channel.to_flush_) return true;
  if (!InCallback()) return false;
  channel.to_flush_ = true;
  written_.push_back(&channel);
  Py_INCREF(channel.object());
  return true;
}

char* Loop::Scratch() {
  if (scratch_ == nullptr) scratch_.reset(new char[kScratchSize]);
  return scratch_.get();
}

void Loop::Ref() {
  ++references_;
  UpdateFromAnyThread();
}

void Loop::Unref() {
  COLOOP_CHECK(references_ > 0);
  --references_;
  UpdateFromAnyThread();
}

void Loop::BeginWait() {
  if (++waits_ == 1 && host_ != nullptr) UpdateFromAnyThread();
}

void Loop::EndWait() {
  if (--waits_ == 0 && host_ != nullptr && !closed) UpdateFromAnyThread();
}

void Loop::UpdateFromAnyThread() {
  if (host_ == nullptr || OnOwnThread()) {
    UpdateReferences();
    return;
  }
  stale_ = true;
  Wake();
}

void Loop::CollectHandle(int fd, bool writer, _object* handle) {
  if (IsCancelled(handle)) {
    const Owned dropped = Unwatch(fd, writer);
  } else {
    ready_.Push(Owned::NewRef(handle));
  }
}

void Loop::CollectEvents() {
  // By index: a handle that is dropped may run Python, which may close the loop.
  for (std::size_t i = 0; i < poller_.events().size(); ++i) {
    const Poller::Event event = poller_.events()[i];
    const Poller::Found found = poller_.Find(event);
    if (found.channel != nullptr) {
      found.channel->Note(
          (event.readable ? Channel::kReadable : 0U) | (event.writable ? Channel::kWritable : 0U) |
          (event.hung_up ? Channel::kHungUp : 0U) | (event.urgent ? Channel::kUrgent : 0U));
      Queue(*found.channel);
    }
    if (found.reader != nullptr) CollectHandle(event.fd, false, found.reader);
    if (found.writer == nullptr) continue;
    _object* writer = found.reader != nullptr ? poller_.Find(event).writer : found.writer;
    if (writer != nullptr) CollectHandle(event.fd, true, writer);
  }
  poller_.ClearEvents();
  if (!poller_.NeedsRenewal()) return;
  if (handles_ != nullptr) {
    handles_->RenewPoll(poller_);
  } else {
    poller_.Renew();
  }
}

// Everything that is due becomes ready: descriptors, timers. False with the exception of a time()
// of the program's own set, which leaves an owned loop.
bool Loop::CollectReady(const interp::Gil& gil) {
  if (poller_.has_events()) {
    LookOften();
    CollectEvents();
  }
  if (timers_.empty()) return true;
  double now = 0;
  if (!TimerNow(gil, &now)) {
    if (host_ == nullptr) return false;
    interp::ReportUnraisable(gil, self_);
    now = Now() - time_offset_;
  }
  while (!timers_.empty()) {
    const bool cancelled = IsCancelled(timers_.front());
    if (!cancelled && timers_.first() > now) break;
    const double when = timers_.first();
    Owned handle = timers_.Pop();
    MarkUnscheduled(handle.get());
    if (cancelled) {
      timers_.PoppedCancelled();
    } else {
      lag_.Note(now - when);
      ready_.Push(std::move(handle));
    }
  }
  return true;
}

// False with an exception set that leaves the loop.
bool Loop::RunHandle(const interp::Gil& gil, _object* handle) {
  if (IsSettler(handle)) {
    RunSettler(gil, handle);
    return true;
  }
  if (IsCancelled(handle)) return true;
  if (debug) {
    const Owned done(PyObject_CallMethod(self_, "_run_timed", "O", handle));
    if (done) return true;
    return host_ != nullptr && ReportFailure(gil, self_, handle);
  }
  switch (RunCallback(gil, handle)) {
    case Ran::kDone:
      return true;
    case Ran::kExit:
      if (host_ == nullptr) return false;
      break;
    case Ran::kFailed:
      break;
  }
  return ReportFailure(gil, self_, handle);
}

bool Loop::ReportChannelFailure(const interp::Gil& gil, const Channel& channel) {
  if (host_ == nullptr && (PyErr_ExceptionMatches(PyExc_SystemExit) != 0 ||
                           PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) != 0)) {
    return false;
  }
  return ReportFailure(gil, self_, channel.object());
}

bool Loop::RunChannel(const interp::Gil& gil, Channel& channel) {
  channel.queued_ = false;
  if (!debug) return channel.Run(gil) || ReportChannelFailure(gil, channel);
  const double start = Now();
  const bool ran = channel.Run(gil) || ReportChannelFailure(gil, channel);
  if (!ran || closed) return ran;
  const Owned done(
      PyObject_CallMethod(self_, "_warn_if_slow", "Od", channel.object(), Now() - start));
  if (!done) interp::ReportUnraisable(gil, self_);
  return true;
}

// What the callback wrote goes out together.
bool Loop::FlushWritten(const interp::Gil& gil) {
  bool stays = true;
  // What a flush calls may write again.
  while (!written_.empty()) {
    Channel* channel = written_.back();
    written_.pop_back();
    const Owned object(channel->object());
    channel->to_flush_ = false;
    if (!channel->Flush(gil) && !ReportChannelFailure(gil, *channel)) stays = false;
  }
  return stays;
}

// The same after a callback that leaves the loop: what it raised stays the exception.
bool Loop::FlushAfter(const interp::Gil& gil, bool stays) {
  if (stays) return FlushWritten(gil);
  const Owned exception = interp::TakeException(gil);
  if (!FlushWritten(gil)) PyErr_Clear();
  interp::RaiseException(gil, exception.get());
  return false;
}

bool Loop::PollOnce(const interp::Gil& gil, const ServedThread& served) {
  if (!AskTime(gil)) return false;
  // A look between callbacks may have taken the wake-up of an interrupt or of work for the thread;
  // whoever wakes the loop has said before what for.
  if (!ready_.empty() || stopping || interrupted_ || served.is_asked()) {
    poller_.Note();
    return true;
  }
  ArmTimer();
  polling_ = true;  // with the GIL held: whoever queues something from now on sees it
  {
    const interp::GilRelease release(gil);
    ++waits_begun_;
    poller_.Wait();
    polling_ = false;
  }
  return true;
}

// An exception that another thread sets for this one is raised by Python code only.
bool Loop::Checkpoint() {
  if (!interrupted_.exchange(false)) return true;
  const Owned done(PyObject_CallMethod(self_, "_checkpoint", nullptr));
  return static_cast<bool>(done);
}

// A thread that runs it may wait without the GIL.
const char* Loop::ObstacleToRun() const {
  if (opened_ && host_ != nullptr) return "this loop is driven and closed by Node.js";
  return RunsElsewhere() ? "This event loop is already running" : nullptr;
}

bool Loop::RunUntilStopped(const interp::Gil& gil) {
  const ServedThread served(*this);
  runner_ = std::this_thread::get_id();
  ++runs_;
  bool stays = true;
  do {
    stays = PollOnce(gil, served) && PyErr_CheckSignals() == 0 && Checkpoint();
    if (stays) served.Serve(gil);
    stays = stays && RunBatch(gil);
  } while (stays && !stopping && !closed);
  --runs_;
  return stays;
}

int Loop::Traverse(int (*visit)(_object*, void*), void* argument) const {
  const auto each = [visit, argument](_object* object) {
    return object != nullptr ? visit(object, argument) : 0;
  };
  for (std::size_t i = 0; i < ready_.size(); ++i) {
    const int result = each(ready_.At(i));
    if (result != 0) return result;
  }
  for (const Channel* channel : written_) {
    const int result = each(channel->object());
    if (result != 0) return result;
  }
  const int keywords = each(future_keywords.get());
  if (keywords != 0) return keywords;
  const int timers = timers_.Traverse(each);
  return timers != 0 ? timers : poller_.Traverse(each);
}

void Loop::Clear(const interp::Gil&) {
  future_keywords.reset();
  while (!ready_.empty()) {
    const ReadyItem dropped = ready_.Pop();
    if (dropped.channel != nullptr) dropped.channel->queued_ = false;
  }
  std::vector<Channel*> written;
  written.swap(written_);
  for (Channel* channel : written) {
    const Owned dropped(channel->object());
    channel->to_flush_ = false;
  }
  timers_.Clear();
  poller_.Clear();
}

}  // namespace coloop::loop
