// asyncio's running loop, and the services of threads.
#include "loop/running.h"

#include <Python.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "interp/error.h"
#include "interp/gil.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"
#include "loop/host.h"
#include "loop/loop.h"

namespace coloop::loop {

using interp::Owned;

namespace {

struct Running {
  PyObject* get = nullptr;
  PyObject* set = nullptr;
};
interp::PerInterpreter<Running> running;

#if PY_VERSION_HEX < 0x030C0000
// Up to 3.11 each change of the running loop makes a new holder and asks for the process id: 134
// ns, twice for each drain. The holder that the thread's dict has is written in place where it is
// ours.
struct RunningLoopHolder {  // Modules/_asynciomodule.c, the same in all of 3.10 and 3.11
  PyObject_HEAD PyObject* loop;
  pid_t pid;
};

RunningLoopHolder* FindHolder() {
  static PyObject* key = PyUnicode_InternFromString("__asyncio_running_event_loop__");
  PyObject* dict = PyThreadState_GetDict();
  return reinterpret_cast<RunningLoopHolder*>(PyDict_GetItemWithError(dict, key));
}

// A holder has this layout if what was just set can be read back through it.
bool HasLayout(const RunningLoopHolder* holder, PyObject* loop) {
  return holder != nullptr && Py_TYPE(holder)->tp_basicsize == sizeof(RunningLoopHolder) &&
         holder->loop == loop;
}

thread_local RunningLoopHolder* own_holder = nullptr;  // borrowed from the thread's dict

bool SetInPlace(PyObject* loop) {
  RunningLoopHolder* holder = FindHolder();
  if (holder == nullptr || holder != own_holder) return false;
  Py_INCREF(loop);
  Py_SETREF(holder->loop, loop);
  return true;
}

void RememberHolder(PyObject* loop) {
  RunningLoopHolder* holder = FindHolder();
  own_holder = HasLayout(holder, loop) ? holder : nullptr;
}
#else
bool SetInPlace(PyObject*) { return false; }
void RememberHolder(PyObject*) {}
#endif

void SetRunning(PyObject* loop) {
  if (SetInPlace(loop)) return;
  const Owned done(PyObject_CallOneArg(running->set, loop));
  if (!done) PyErr_Clear();
  RememberHolder(loop);
}

thread_local ThreadService* current_service = nullptr;
std::mutex owned_mutex;  // guards these two; an entry's loop lives while it is there
std::vector<std::pair<unsigned long, Loop*>> running_loops;  // by Python's ident of the thread
std::unordered_map<ThreadService*, Loop*>& OwnedLoops() {
  static std::unordered_map<ThreadService*, Loop*> loops;
  return loops;
}

}  // namespace

bool InitRunning(const interp::Gil&) {
  if (running->set != nullptr) return true;
  const Owned events(PyImport_ImportModule("asyncio.events"));
  if (!events) return false;
  running->get = PyObject_GetAttrString(events.get(), "_get_running_loop");
  running->set = PyObject_GetAttrString(events.get(), "_set_running_loop");
  return running->get != nullptr && running->set != nullptr;
}

RunningLoop::RunningLoop(const interp::Gil&, PyObject* loop, Before before)
    : previous_(before == Before::kAsk ? PyObject_CallNoArgs(running->get)
                                       : Owned::NewRef(Py_None).release()) {
  if (previous_.get() == loop) return;
  if (!previous_) {
    PyErr_Clear();
    previous_ = Owned::NewRef(Py_None);
  }
  SetRunning(loop);
  changed_ = true;
}

RunningLoop::~RunningLoop() {
  if (!changed_) return;
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  SetRunning(previous_.get());
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

void InterruptOwnedLoops(const interp::Gil&, unsigned long thread) {
  const std::lock_guard<std::mutex> lock(owned_mutex);
  for (const auto& [ident, loop] : running_loops) {
    if (ident == thread) loop->Interrupt();
  }
}

ServedThread::ServedThread(Loop& loop) : loop_(loop), service_(current_service) {
  const std::lock_guard<std::mutex> lock(owned_mutex);
  running_loops.emplace_back(PyThread_get_thread_ident(), &loop);
  if (service_ == nullptr) return;
  Loop*& entry = OwnedLoops()[service_];
  previous_ = entry;
  entry = &loop;
  if (service_->is_asked()) loop.Wake();  // before this loop ran
}

ServedThread::~ServedThread() {
  const std::lock_guard<std::mutex> lock(owned_mutex);
  const auto own = std::find_if(running_loops.rbegin(), running_loops.rend(),
                                [this](const auto& each) { return each.second == &loop_; });
  running_loops.erase(std::next(own).base());
  if (service_ == nullptr) return;
  if (previous_ == nullptr) {
    OwnedLoops().erase(service_);
  } else {
    OwnedLoops()[service_] = previous_;
  }
}

bool ServedThread::is_asked() const { return service_ != nullptr && service_->is_asked(); }

void ServedThread::Serve(const interp::Gil& gil) const {
  if (!is_asked()) return;
  const interp::GilRelease release(gil);
  service_->Serve();
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
