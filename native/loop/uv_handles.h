// A hosted loop's handles on the host's uv loop. They live until libuv has let go of the last of
// them, longer than the loop itself; `loop` is null from Close on.
#pragma once

#include <uv.h>

namespace coloop::loop {

class Loop;
class LoopHost;
class Poller;

struct UvHandles {
  // Null when libuv refused; nothing is left behind then.
  [[nodiscard]] static UvHandles* Open(Loop& loop, LoopHost& host, int poll_descriptor);
  // `closed(data)` runs when the last handle is closed.
  void Close(void (*closed)(void*), void* data);

  // A referenced loop keeps the host alive.
  void SetReferenced(bool referenced);
  void SetIdle(bool on);
  void RenewPoll(Poller& poller);

  Loop* loop = nullptr;
  uv_poll_t poll;
  uv_idle_t idle;  // while it is on, the host's poll does not wait
  uv_prepare_t prepare;
  uv_check_t check;
  int open = 0;
  void (*closed)(void*) = nullptr;
  void* closed_data = nullptr;

 private:
  int Start(uv_loop_t* uv, int poll_descriptor);
  void StartPoll();
  void CloseAll();
};

}  // namespace coloop::loop
