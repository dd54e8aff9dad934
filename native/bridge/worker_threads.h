// The threads of Workers in which Python is started, and how Python there is made to end.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "interp/gil.h"

namespace coloop::bridge {

// All by JavaScript's threadId, which no other thread gets. `above` are the threads that it
// descends from, as far as Python is started there.
void AddWorkerThread(int number, const interp::PythonThread& thread, std::vector<int> above);
void RemoveWorkerThread(int number);
// Python on that thread and on those that descend from it.
void InterruptWorkerThreads(int number);

// For its life, Python on the threads that descend from one is interrupted every 50 ms. Node.js
// waits for them when that thread's environment ends, and then runs nothing on it.
class DescendantsEnd {
 public:
  explicit DescendantsEnd(int number);
  // The calling thread holds no GIL.
  ~DescendantsEnd();
  DescendantsEnd(const DescendantsEnd&) = delete;
  DescendantsEnd& operator=(const DescendantsEnd&) = delete;

 private:
  void Run(int number);

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace coloop::bridge
