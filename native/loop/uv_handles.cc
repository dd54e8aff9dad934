// Opening, arming and closing the uv handles; the hosted turn.
#include "loop/uv_handles.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/counters.h"
#include "interp/gil.h"
#include "interp/ref.h"
#include "loop/host.h"
#include "loop/loop.h"
#include "loop/running.h"

namespace coloop::loop {

namespace {

constexpr double kMaxTimerSeconds = 24 * 3600;

template <typename Handle>
uv_handle_t* AsHandle(Handle* handle) {
  return reinterpret_cast<uv_handle_t*>(handle);
}

void Nothing(uv_idle_t*) {}
void NothingAsync(uv_async_t*) {}

}  // namespace

UvHandles* UvHandles::Open(Loop& loop, LoopHost* host, int poll_descriptor) {
  auto* handles = new UvHandles;
  handles->loop = &loop;
  if (host != nullptr) {
    handles->uv = host->uv();
  } else {
    if (uv_loop_init(&handles->private_loop) != 0) {
      delete handles;
      return nullptr;
    }
    handles->uv = &handles->private_loop;
    handles->owns_uv = true;
  }
  if (handles->Start(host, poll_descriptor) == 0) return handles;
  handles->loop = nullptr;
  handles->CloseAll();
  return nullptr;
}

int UvHandles::Start(LoopHost* host, int poll_descriptor) {
  const auto opened = [this](auto* handle, int status) {
    if (status != 0) return status;
    handle->data = this;
    ++open;
    base::CountLive(base::Live::kUvHandle, 1);
    return 0;
  };
  int status = opened(&async, uv_async_init(uv, &async, NothingAsync));
  if (status == 0) status = opened(&timer, uv_timer_init(uv, &timer));
  if (status == 0) status = opened(&poll, uv_poll_init(uv, &poll, poll_descriptor));
  if (status == 0) status = opened(&idle, uv_idle_init(uv, &idle));
  if (status != 0) return status;
  StartPoll();
  uv_unref(AsHandle(&poll));
  if (host == nullptr) return 0;
  uv_unref(AsHandle(&async));
  status = opened(&prepare, uv_prepare_init(uv, &prepare));
  if (status == 0) status = opened(&check, uv_check_init(uv, &check));
  if (status != 0) return status;
  uv_prepare_start(&prepare, [](uv_prepare_t* handle) {
    Loop::HostedTurn(*static_cast<UvHandles*>(handle->data));
  });
  uv_check_start(
      &check, [](uv_check_t* handle) { Loop::HostedTurn(*static_cast<UvHandles*>(handle->data)); });
  uv_unref(AsHandle(&prepare));
  uv_unref(AsHandle(&check));
  return 0;
}

void UvHandles::StartPoll() {
  uv_poll_start(&poll, UV_READABLE, [](uv_poll_t* handle, int, int) {
    static_cast<UvHandles*>(handle->data)->loop->poller_.Note();
  });
}

void UvHandles::RenewPoll(Poller& poller) {
  uv_poll_stop(&poll);
  poller.Renew();
  StartPoll();
}

void UvHandles::CloseAll() {
  const auto on_close = [](uv_handle_t* handle) {
    auto* handles = static_cast<UvHandles*>(handle->data);
    base::CountLive(base::Live::kUvHandle, -1);
    if (--handles->open > 0) return;
    if (handles->closed != nullptr) handles->closed(handles->closed_data);
    if (!handles->owns_uv) delete handles;
  };
  // In the order in which Start opened them: the first `open` of these exist.
  uv_handle_t* all[] = {AsHandle(&async), AsHandle(&timer),   AsHandle(&poll),
                        AsHandle(&idle),  AsHandle(&prepare), AsHandle(&check)};
  const int count = open;
  const bool is_private = owns_uv;
  for (int i = 0; i < count; ++i) uv_close(all[i], on_close);
  if (!is_private) {
    if (count == 0) delete this;
    return;
  }
  uv_run(uv, UV_RUN_DEFAULT);  // nothing but the close callbacks is left
  uv_loop_close(uv);
  delete this;
}

void UvHandles::Close(void (*on_closed)(void*), void* data) {
  loop = nullptr;
  closed = on_closed;
  closed_data = data;
  CloseAll();
}

void UvHandles::StartTimer(double seconds) {
  // Whole milliseconds, up: libuv must not fire early. Its clock is that of the iteration's start.
  const double bounded = std::clamp(seconds, 0.0, kMaxTimerSeconds);
  uv_update_time(uv);
  uv_timer_start(
      &timer, [](uv_timer_t* handle) { Loop::OnTimer(*static_cast<UvHandles*>(handle->data)); },
      static_cast<std::uint64_t>(std::ceil(bounded * 1000)), 0);
}

void UvHandles::StopTimer() { uv_timer_stop(&timer); }

void UvHandles::SetIdle(bool on) { on ? uv_idle_start(&idle, Nothing) : uv_idle_stop(&idle); }

// libuv's next timer for ours; without one the host may end.
void Loop::ArmTimer() {
  if (handles_ == nullptr) return;
  if (timers_.live() == 0) {
    handles_->StopTimer();
    armed_for_ = kNever;
    return;
  }
  if (timers_.first() == armed_for_ && uv_is_active(AsHandle(&handles_->timer)) != 0) return;
  armed_for_ = timers_.first();
  handles_->StartTimer(armed_for_ - Now());
}

void Loop::ScheduleIdle() {
  const bool wanted = HasReady();
  if (wanted == idle_ || handles_ == nullptr) return;
  idle_ = wanted;
  handles_->SetIdle(wanted);
}

void Loop::UpdateReferences() {
  if (handles_ == nullptr || host_ == nullptr) return;
  handles_->SetReferenced(AsHandle(&handles_->poll), poller_.size() > 0);
  handles_->SetReferenced(AsHandle(&handles_->async), references_ > 0);
  if (!draining_) ArmTimer();
}

// An owned loop looks at its timers after the poll, which must not wait then: libuv runs timers
// before it, too. A host may end once no handle is active, so a hosted one looks now, and starts
// the timer again if libuv's clock was ahead.
void Loop::OnTimer(UvHandles& handles) {
  Loop& loop = *handles.loop;
  if (loop.host_ == nullptr) {
    loop.idle_ = true;
    handles.SetIdle(true);
    return;
  }
  const double due = loop.armed_for_;
  HostedTurn(handles);
  if (handles.loop == nullptr || uv_is_active(AsHandle(&handles.timer)) != 0) return;
  if (due == loop.armed_for_) handles.StartTimer(due - Now());
}

// prepare and check: run what is ready, and again what the microtasks of the batch made ready. What
// is read here without the GIL, no other thread writes, or it is atomic.
void Loop::HostedTurn(UvHandles& handles) {
  {
    const Loop& loop = *handles.loop;
    const bool due = loop.armed_for_ != kNever && loop.armed_for_ <= Now();
    if (!loop.HasReady() && !loop.poller_.has_events() && !due) return;
  }
  LoopHost* host = handles.loop->host_;
  host->BeginBatch();
  {
    const interp::GilAcquire acquire;
    if (acquire.ok()) handles.loop->Drain(acquire.gil());
  }
  host->EndBatch();
  // The batch or its microtasks may have closed the loop, and then it is gone.
  if (handles.loop != nullptr) handles.loop->ScheduleIdle();
}

void Loop::Drain(const interp::Gil& gil) {
  if (draining_ || closed) return;
  const interp::Owned self = interp::Owned::NewRef(self_);
  draining_ = true;
  stale_ = false;
  {
    const RunningLoop running(gil, self_, RunningLoop::Before::kNone);
    (void)RunBatch(gil);
  }
  draining_ = false;
  if (closed) return;
  UpdateReferences();
  ScheduleIdle();
}

}  // namespace coloop::loop
