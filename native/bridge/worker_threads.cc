// The list of Workers' threads, and interrupts for them.
#include "bridge/worker_threads.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "interp/gil.h"
#include "interp/interrupt.h"
#include "loop/host.h"

namespace coloop::bridge {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kInterruptEvery{50};

struct WorkerThread {
  interp::PythonThread thread;
  std::vector<int> above;
  Clock::time_point since = Clock::time_point::max();  // the first time that it was to end
};

struct WorkerThreads {
  std::mutex mutex;
  std::map<int, WorkerThread> by_number;  // guarded by mutex
};

WorkerThreads& Workers() {
  static auto* workers = new WorkerThreads;
  return *workers;
}

bool IsThere(int number) {
  WorkerThreads& workers = Workers();
  const std::lock_guard<std::mutex> lock(workers.mutex);
  return workers.by_number.contains(number);
}

bool IsBelow(const WorkerThread& worker, int number) {
  return std::find(worker.above.begin(), worker.above.end(), number) != worker.above.end();
}

void Interrupt(int number, bool itself) {
  struct Meant {
    int number;
    interp::PythonThread thread;
    bool insist;
  };
  std::vector<Meant> all;
  {
    WorkerThreads& workers = Workers();
    const std::lock_guard<std::mutex> lock(workers.mutex);
    const Clock::time_point now = Clock::now();
    for (auto& [each, worker] : workers.by_number) {
      if (each == number ? !itself : !IsBelow(worker, number)) continue;
      worker.since = std::min(worker.since, now);
      all.push_back({each, worker.thread, now - worker.since >= interp::kInsistAfter});
    }
  }
  for (const Meant& each : all) {
    // It leaves the list with its GIL held, before it ends.
    const auto is_there = [number = each.number] { return IsThere(number); };
    interp::InterruptThread(each.thread, each.insist, is_there, loop::InterruptOwnedLoops);
  }
}

}  // namespace

void AddWorkerThread(int number, const interp::PythonThread& thread, std::vector<int> above) {
  WorkerThreads& workers = Workers();
  const std::lock_guard<std::mutex> lock(workers.mutex);
  workers.by_number[number] = {thread, std::move(above)};
}

void RemoveWorkerThread(int number) {
  WorkerThreads& workers = Workers();
  const std::lock_guard<std::mutex> lock(workers.mutex);
  workers.by_number.erase(number);
}

void InterruptWorkerThreads(int number) { Interrupt(number, true); }

DescendantsEnd::DescendantsEnd(int number) : thread_([this, number] { Run(number); }) {}

DescendantsEnd::~DescendantsEnd() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void DescendantsEnd::Run(int number) {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!changed_.wait_for(lock, kInterruptEvery, [this] { return stop_; })) {
    lock.unlock();
    Interrupt(number, false);
    lock.lock();
  }
}

}  // namespace coloop::bridge
