// The thread and its table of signals.
#include "bridge/signal_thread.h"

#include <uv.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <ratio>
#include <thread>
#include <utility>
#include <vector>

#include "interp/run.h"
#include "interp/signals.h"
#include "interp/watch.h"

namespace coloop::bridge {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMaxSignal = 64;
constexpr std::uint64_t kInsistEvery = 50;
// A signal that Python has not noticed, since it came just before a call that blocks.
constexpr std::uint64_t kDeliverEvery = 5;

struct Watched {
  int number = 0;
  uv_signal_t handle{};
  uv_timer_t interrupt_timer{};
  uv_timer_t deliver_timer{};
  bool open = false;
  bool interrupts = false;
  int delay = 0;
  bool insists = false;
  bool routed = false;
  std::atomic<Clock::rep> came{0};
};

// Lives as long as the process. But for `came`, what is watched belongs to the thread.
struct SignalThread {
  std::mutex mutex;
  std::condition_variable done;
  std::vector<std::function<void()>> orders;
  std::uint64_t given = 0;
  std::uint64_t carried_out = 0;
  bool started = false;
  uv_loop_t loop{};
  uv_async_t wake{};
  std::array<Watched, kMaxSignal + 1> watched;

  void Do(std::function<void()> order);
  void Serve();
  void Update(Watched& signal);
};

SignalThread& TheThread() {
  static auto* thread = new SignalThread;
  return *thread;
}

void Interrupt() {
  const std::shared_ptr<interp::Lane> lane = interp::FindLane(0);
  if (lane != nullptr) (void)interp::InterruptLane(lane);
}

void OnSignal(uv_signal_t* handle, int number) {
  auto& signal = *static_cast<Watched*>(handle->data);
  signal.came = Clock::now().time_since_epoch().count();
  if (signal.interrupts) {
    uv_timer_start(
        &signal.interrupt_timer, [](uv_timer_t*) { Interrupt(); },
        static_cast<std::uint64_t>(signal.delay), signal.insists ? kInsistEvery : 0);
  }
  if (!signal.routed) return;
  interp::DeliverSignal(number);
  uv_timer_start(
      &signal.deliver_timer,
      [](uv_timer_t* timer) {
        if (!interp::DeliverAgain()) uv_timer_stop(timer);
      },
      kDeliverEvery, kDeliverEvery);
}

void SignalThread::Update(Watched& signal) {
  if (!signal.open) {
    signal.open = true;
    uv_signal_init(&loop, &signal.handle);
    uv_timer_init(&loop, &signal.interrupt_timer);
    uv_timer_init(&loop, &signal.deliver_timer);
    signal.handle.data = &signal;
  }
  if (!signal.interrupts) uv_timer_stop(&signal.interrupt_timer);
  if (signal.interrupts || signal.routed) {
    uv_signal_start(&signal.handle, OnSignal, signal.number);
  } else {
    uv_signal_stop(&signal.handle);
  }
}

void SignalThread::Serve() {
  std::vector<std::function<void()>> batch;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    batch.swap(orders);
  }
  for (const std::function<void()>& order : batch) order();
  {
    const std::lock_guard<std::mutex> lock(mutex);
    carried_out += batch.size();
  }
  done.notify_all();
}

void SignalThread::Do(std::function<void()> order) {
  std::unique_lock<std::mutex> lock(mutex);
  if (!started) {
    started = true;
    uv_loop_init(&loop);
    uv_async_init(&loop, &wake, [](uv_async_t*) { TheThread().Serve(); });
    std::thread([this] { uv_run(&loop, UV_RUN_DEFAULT); }).detach();
  }
  orders.push_back(std::move(order));
  const std::uint64_t mine = ++given;
  uv_async_send(&wake);
  done.wait(lock, [this, mine] { return carried_out >= mine; });
}

void Change(int number, const std::function<void(Watched&)>& change) {
  if (number < 1 || number > kMaxSignal) return;
  SignalThread& thread = TheThread();
  Watched& signal = thread.watched[static_cast<std::size_t>(number)];
  thread.Do([&] {
    signal.number = number;
    change(signal);
    thread.Update(signal);
  });
}

}  // namespace

void InterruptOnSignal(int number, int delay_ms, bool insist) {
  Change(number, [=](Watched& signal) {
    signal.interrupts = true;
    signal.delay = delay_ms;
    signal.insists = insist;
  });
}

void StopInterruptOnSignal(int number) {
  Change(number, [](Watched& signal) { signal.interrupts = false; });
}

double SinceSignal(int number) {
  if (number < 1 || number > kMaxSignal) return 0;
  const Clock::rep came = TheThread().watched[static_cast<std::size_t>(number)].came;
  if (came == 0) return 0;
  const auto since = Clock::now() - Clock::time_point(Clock::duration(came));
  return std::chrono::duration<double, std::milli>(since).count();
}

void RouteSignal(int number, bool on) {
  Change(number, [on](Watched& signal) { signal.routed = on; });
}

}  // namespace coloop::bridge
