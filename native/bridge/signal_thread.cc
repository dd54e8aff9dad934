// The thread and its table of signals.
#include "bridge/signal_thread.h"

#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <ratio>
#include <thread>
#include <utility>
#include <vector>

#include "interp/interrupt.h"
#include "interp/run.h"
#include "interp/signals.h"
#include "interp/watch.h"

namespace coloop::bridge {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMaxSignal = 64;
constexpr std::uint64_t kInterruptEvery = 50;
// A signal that Python has not noticed, since it came just before a call that blocks.
constexpr std::uint64_t kDeliverEvery = 5;

// What JavaScript asked for a signal.
struct Request {
  int id;
  int number;
  std::optional<std::uint64_t> grace;  // after which the process is to end
};

// Of the process, by a signal. In the loop's milliseconds.
struct End {
  bool began = false;
  int code = 0;
  std::uint64_t insist = 0;
  std::uint64_t last = 0;
};

struct Watched {
  int number = 0;
  uv_signal_t handle{};
  uv_timer_t deliver_timer{};
  bool open = false;
  bool routed = false;
  std::atomic<Clock::rep> came{0};
};

// Lives as long as the process. But for `came`, what follows the mutex and its own belongs to the
// thread.
struct SignalThread {
  std::mutex mutex;
  std::condition_variable done;
  std::vector<std::function<void()>> orders;
  std::uint64_t given = 0;
  std::uint64_t carried_out = 0;
  bool started = false;
  uv_loop_t loop{};
  uv_async_t wake{};
  uv_timer_t end_timer{};
  std::array<Watched, kMaxSignal + 1> watched;
  std::vector<Request> requests;
  int last_request = 0;
  End end;

  void Do(std::function<void()> order);
  void Serve();
  void Update(Watched& signal);
  void EndBy(int number, std::uint64_t grace);
  void KeepEnding();
};

SignalThread& TheThread() {
  static auto* thread = new SignalThread;
  return *thread;
}

void Interrupt(bool insist) {
  const std::shared_ptr<interp::Lane> lane = interp::FindLane(0);
  if (lane != nullptr) (void)interp::InterruptLane(lane, insist);
}

void SignalThread::EndBy(int number, std::uint64_t grace) {
  const bool second = std::exchange(end.began, true);
  if (second) grace = 0;
  const std::uint64_t now = uv_now(&loop);
  constexpr std::uint64_t kInsist = interp::kInsistAfter.count();
  constexpr std::uint64_t kGiveUp = interp::kGiveUpAfter.count();
  end.code = 128 + number;
  end.insist = second ? now : now + grace + kInsist;
  end.last = second ? std::min(end.last, now + kInsist) : now + grace + kGiveUp;
  uv_timer_start(&end_timer, [](uv_timer_t*) { TheThread().KeepEnding(); }, grace, kInterruptEvery);
}

void SignalThread::KeepEnding() {
  const std::uint64_t now = uv_now(&loop);
  if (now >= end.last) {
    uv_tty_reset_mode();  // as Node.js does at its end
    _exit(end.code);
  }
  Interrupt(now >= end.insist);
}

void OnSignal(uv_signal_t* handle, int number) {
  SignalThread& thread = TheThread();
  auto& signal = *static_cast<Watched*>(handle->data);
  signal.came = Clock::now().time_since_epoch().count();
  std::optional<std::uint64_t> grace;
  for (const Request& request : thread.requests) {
    if (request.number != number) continue;
    if (!request.grace)
      Interrupt(false);
    else
      grace = std::min(grace.value_or(*request.grace), *request.grace);
  }
  if (grace) thread.EndBy(number, *grace);
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
    uv_timer_init(&loop, &signal.deliver_timer);
    signal.handle.data = &signal;
  }
  const bool requested = std::any_of(requests.begin(), requests.end(), [&](const Request& request) {
    return request.number == signal.number;
  });
  if (requested || signal.routed) {
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
    uv_timer_init(&loop, &end_timer);
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

int Add(int number, std::optional<std::uint64_t> grace) {
  SignalThread& thread = TheThread();
  int id = 0;
  Change(number, [&](Watched&) {
    id = ++thread.last_request;
    thread.requests.push_back({id, number, grace});
  });
  return id;
}

}  // namespace

int InterruptOnSignal(int number) { return Add(number, std::nullopt); }

int EndOnSignal(int number, int grace_ms) {
  return Add(number, static_cast<std::uint64_t>(grace_ms));
}

void ForgetRequest(int request) {
  SignalThread& thread = TheThread();
  thread.Do([&] {
    const auto is_it = [request](const Request& each) { return each.id == request; };
    const auto found = std::find_if(thread.requests.begin(), thread.requests.end(), is_it);
    if (found == thread.requests.end()) return;
    const int number = found->number;
    thread.requests.erase(found);
    thread.Update(thread.watched[static_cast<std::size_t>(number)]);
  });
}

void ExitBegins() {
  SignalThread& thread = TheThread();
  thread.Do([&] {
    thread.requests.clear();
    uv_timer_stop(&thread.end_timer);
  });
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
