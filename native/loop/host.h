// What a loop asks of whoever drives it.
#pragma once

#include <atomic>

struct uv_loop_s;

namespace coloop::interp {
class Gil;
}

namespace coloop::loop {

// The owner of the uv loop that a hosted loop is attached to.
class LoopHost {
 public:
  LoopHost() = default;
  LoopHost(const LoopHost&) = delete;
  LoopHost& operator=(const LoopHost&) = delete;
  virtual ~LoopHost() = default;

  virtual uv_loop_s* uv() = 0;
  // Control arrived from libuv, before any callback runs. GIL not held.
  virtual void BeginBatch() = 0;
  // After the batch, GIL not held: closes what was opened lazily, so that microtasks run; they may
  // queue work, so the loop looks at its queue again afterwards.
  virtual void EndBatch() = 0;
};

// Work that other threads hand to this one (calls into JavaScript).
class ThreadService {
 public:
  ThreadService() = default;
  ThreadService(const ThreadService&) = delete;
  ThreadService& operator=(const ThreadService&) = delete;
  virtual ~ThreadService() = default;

  // On its own thread, GIL not held.
  virtual void Serve() = 0;
  // Something was handed over since it last began to serve. Any thread.
  [[nodiscard]] bool is_asked() const { return asked_.load(); }

 protected:
  // Whoever hands over does so first, then asks, then wakes the thread.
  void Ask() { asked_.store(true); }
  void BeginToServe() { asked_.store(false); }

 private:
  std::atomic<bool> asked_{false};
};

// The service of the calling thread, or null. An owned loop that runs on this thread serves it.
void SetThreadService(ThreadService* service);
[[nodiscard]] ThreadService* CurrentThreadService();

// Wakes the owned loop that runs on the service's thread now; false if there is none. Any thread.
bool WakeOwnedLoop(ThreadService* service);

// An exception was set for a thread (interp::InterruptThread): an owned loop that it waits in wakes
// and raises it. `thread` is Python's ident.
void InterruptOwnedLoops(const interp::Gil& gil, unsigned long thread);

}  // namespace coloop::loop
