// asyncio's running loop, and the services of threads.
#include "loop/running.h"

#include <Python.h>
#include <time.h>

#include <mutex>
#include <unordered_map>

#include "interp/error.h"
#include "loop/host.h"
#include "loop/loop.h"

namespace coloop::loop {

using interp::Owned;

namespace {

PyObject* get_running = nullptr;
PyObject* set_running = nullptr;

thread_local ThreadService* current_service = nullptr;
std::mutex owned_mutex;  // guards owned_loops; an entry's loop lives while it is there
std::unordered_map<ThreadService*, Loop*>& OwnedLoops() {
  static std::unordered_map<ThreadService*, Loop*> loops;
  return loops;
}

}  // namespace

bool InitRunning(const interp::Gil&) {
  if (set_running != nullptr) return true;
  const Owned events(PyImport_ImportModule("asyncio.events"));
  if (!events) return false;
  get_running = PyObject_GetAttrString(events.get(), "_get_running_loop");
  set_running = PyObject_GetAttrString(events.get(), "_set_running_loop");
  return get_running != nullptr && set_running != nullptr;
}

RunningLoop::RunningLoop(const interp::Gil&, PyObject* loop, Before before)
    : previous_(before == Before::kAsk ? PyObject_CallNoArgs(get_running)
                                       : Owned::NewRef(Py_None).release()) {
  if (previous_.get() == loop) return;
  if (!previous_) {
    PyErr_Clear();
    previous_ = Owned::NewRef(Py_None);
  }
  const Owned done(PyObject_CallOneArg(set_running, loop));
  if (!done) PyErr_Clear();
  changed_ = true;
}

RunningLoop::~RunningLoop() {
  if (!changed_) return;
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  const Owned done(PyObject_CallOneArg(set_running, previous_.get()));
  PyErr_Restore(type, value, traceback);
}

void SetThreadService(ThreadService* service) { current_service = service; }
ThreadService* CurrentThreadService() { return current_service; }

bool WakeOwnedLoop(ThreadService* service) {
  const std::lock_guard<std::mutex> lock(owned_mutex);
  const auto found = OwnedLoops().find(service);
  if (found == OwnedLoops().end()) return false;
  found->second->Wake();
  return true;
}

ServedThread::ServedThread(Loop& loop) : service_(current_service) {
  if (service_ == nullptr) return;
  const std::lock_guard<std::mutex> lock(owned_mutex);
  Loop*& entry = OwnedLoops()[current_service];
  previous_ = entry;
  entry = &loop;
  loop.Wake();  // what was handed over before this loop ran
}

ServedThread::~ServedThread() {
  if (service_ == nullptr) return;
  const std::lock_guard<std::mutex> lock(owned_mutex);
  auto* service = static_cast<ThreadService*>(service_);
  if (previous_ == nullptr) {
    OwnedLoops().erase(service);
  } else {
    OwnedLoops()[service] = previous_;
  }
}

void ServedThread::Serve(const interp::Gil& gil) const {
  if (service_ == nullptr) return;
  const interp::GilRelease release(gil);
  static_cast<ThreadService*>(service_)->Serve();
}

bool ReportFailure(const interp::Gil& gil, PyObject* loop, PyObject* handle) {
  const Owned exception = interp::TakeException(gil);
  const Owned done(PyObject_CallMethod(loop, "_report_failure", "OO", handle, exception.get()));
  if (done) return true;
  if (PyErr_ExceptionMatches(PyExc_SystemExit) != 0 ||
      PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) != 0) {
    return false;
  }
  interp::ReportUnraisable(gil, handle);
  return true;
}

std::uint64_t MonotonicNanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace coloop::loop
