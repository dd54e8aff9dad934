// The uv handles of one loop. They live until libuv has let go of the last of them, longer than the
// loop itself; `loop` is null from Close on.
#pragma once

#include <uv.h>

#include <cstdint>

namespace coloop::loop {

class Loop;
class LoopHost;
class Poller;

struct UvHandles {
  // Null when libuv refused; nothing is left behind then.
  [[nodiscard]] static UvHandles* Open(Loop& loop, LoopHost* host, int poll_descriptor);
  // `closed(data)` runs when the last handle is closed; at once for a private uv loop.
  void Close(void (*closed)(void*), void* data);

  void Wake() { uv_async_send(&async); }
  // One iteration of a private uv loop.
  void Run(bool wait) { uv_run(uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT); }
  void SetReferenced(uv_handle_t* handle, bool referenced) {
    referenced ? uv_ref(handle) : uv_unref(handle);
  }
  void StartTimer(double seconds);
  void StopTimer();
  void SetIdle(bool on);
  void RenewPoll(Poller& poller);

  Loop* loop = nullptr;
  uv_loop_t* uv = nullptr;
  bool owns_uv = false;
  uv_loop_t private_loop;
  uv_async_t async;
  uv_timer_t timer;
  uv_poll_t poll;
  uv_idle_t idle;        // while it is on, the poll does not wait
  uv_prepare_t prepare;  // these two on a host's loop only
  uv_check_t check;
  int open = 0;
  void (*closed)(void*) = nullptr;
  void* closed_data = nullptr;

 private:
  int Start(LoopHost* host, int poll_descriptor);
  void StartPoll();
  void CloseAll();
};

}  // namespace coloop::loop
