// Opening, arming and closing the uv handles; the hosted turn.
#include "loop/uv_handles.h"

#include "base/counters.h"
#include "interp/error.h"
#include "interp/gil.h"
#include "interp/ref.h"
#include "interp/run.h"
#include "loop/host.h"
#include "loop/loop.h"
#include "loop/running.h"

namespace coloop::loop {

namespace {

template <typename Handle>
uv_handle_t* AsHandle(Handle* handle) {
  return reinterpret_cast<uv_handle_t*>(handle);
}

void Nothing(uv_idle_t*) {}

}  // namespace

UvHandles* UvHandles::Open(Loop& loop, LoopHost& host, int poll_descriptor) {
  auto* handles = new UvHandles;
  handles->loop = &loop;
  if (handles->Start(host.uv(), poll_descriptor) == 0) return handles;
  handles->loop = nullptr;
  handles->CloseAll();
  return nullptr;
}

int UvHandles::Start(uv_loop_t* uv, int poll_descriptor) {
  const auto opened = [this](auto* handle, int status) {
    if (status != 0) return status;
    handle->data = this;
    ++open;
    base::CountLive(base::Live::kUvHandle, 1);
    uv_unref(AsHandle(handle));
    return 0;
  };
  int status = opened(&poll, uv_poll_init(uv, &poll, poll_descriptor));
  if (status == 0) status = opened(&idle, uv_idle_init(uv, &idle));
  if (status == 0) status = opened(&prepare, uv_prepare_init(uv, &prepare));
  if (status == 0) status = opened(&check, uv_check_init(uv, &check));
  if (status != 0) return status;
  uv_ref(AsHandle(&idle));  // while it is on, there is something to run
  StartPoll();
  uv_prepare_start(&prepare, [](uv_prepare_t* handle) {
    Loop::HostedTurn(*static_cast<UvHandles*>(handle->data));
  });
  uv_check_start(
      &check, [](uv_check_t* handle) { Loop::HostedTurn(*static_cast<UvHandles*>(handle->data)); });
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
    delete handles;
  };
  // In the order in which Start opened them: the first `open` of these exist.
  uv_handle_t* all[] = {AsHandle(&poll), AsHandle(&idle), AsHandle(&prepare), AsHandle(&check)};
  const int count = open;
  for (int i = 0; i < count; ++i) uv_close(all[i], on_close);
  if (count == 0) delete this;
}

void UvHandles::Close(void (*on_closed)(void*), void* data) {
  loop = nullptr;
  closed = on_closed;
  closed_data = data;
  CloseAll();
}

void UvHandles::SetReferenced(bool referenced) {
  referenced ? uv_ref(AsHandle(&poll)) : uv_unref(AsHandle(&poll));
}

void UvHandles::SetIdle(bool on) { on ? uv_idle_start(&idle, Nothing) : uv_idle_stop(&idle); }

void Loop::ScheduleIdle() {
  const bool wanted = HasReady();
  if (wanted == idle_ || handles_ == nullptr) return;
  idle_ = wanted;
  handles_->SetIdle(wanted);
}

void Loop::UpdateReferences() {
  if (handles_ == nullptr) return;
  handles_->SetReferenced(poller_.active() > 0 || !timers_.empty() || references_ > 0 ||
                          waits_ > 0);
  if (!draining_) ArmTimer();
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
    interp::Run run(interp::CurrentLane());
    run_ = &run;
    // An exception handler or a time() that leaves a loop has none to leave here.
    if (!RunBatch(gil)) interp::ReportUnraisable(gil, self_);
    if (!closed && !AskTime(gil)) interp::ReportUnraisable(gil, self_);
    run_ = nullptr;
  }
  draining_ = false;
  if (closed) return;
  UpdateReferences();
  ScheduleIdle();
}

}  // namespace coloop::loop
