// Interrupting what a watch is for, and the thread that looks at the clock.
#include "interp/watch.h"

#include <Python.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "interp/gil.h"
#include "interp/insist.h"
#include "interp/interrupt.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"
#include "interp/run.h"
#include "interp/watch_table.h"

namespace coloop::interp {

namespace {

// The attribute of our exceptions, by which the Python half knows them.
constexpr const char* kMark = "_coloop_watch";

struct WatchState {
  PyObject* exception_class = nullptr;
};
PerInterpreter<WatchState> state;

// Also in the destructor of an object, with an exception set.
Owned CurrentTask(const Lane& lane) {
  if (lane.loop == nullptr) return Owned();
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  const Owned tasks(PyImport_ImportModule("asyncio.tasks"));
  Owned task(tasks ? PyObject_CallMethod(tasks.get(), "current_task", "O", lane.loop) : nullptr);
  PyErr_Restore(type, value, traceback);
  return task;
}

// A Task is being entered into the set of all Tasks, which is Python code.
bool InTaskRegister(const Lane& lane) {
  PyFrameObject* frame = PyThreadState_GetFrame(lane.state);
  if (frame == nullptr) return false;
  PyCodeObject* code = PyFrame_GetCode(frame);
  const char* file = PyUnicode_AsUTF8(code->co_filename);
  if (file == nullptr) PyErr_Clear();
  const bool found = file != nullptr && std::strstr(file, "_weakrefset") != nullptr;
  Py_DECREF(code);
  Py_DECREF(frame);
  return found;
}

std::uint64_t ChooseFor(const Lane& lane, bool (*wanted)(const Watch& watch)) {
  Watches& watches = TheWatches();
  bool ask = false;
  {
    const std::lock_guard<std::mutex> lock(watches.mutex);
    const auto found = watches.due.find(&lane);
    ask = found != watches.due.end() &&
          found->second.tasks.count(nullptr) < found->second.tasks.size();
  }
  const Owned task = ask ? CurrentTask(lane) : Owned();
  const bool in_asyncio = lane.top != nullptr && lane.top->first_step() && InTaskRegister(lane);
  const std::lock_guard<std::mutex> lock(watches.mutex);
  const std::uint64_t id =
      watches.Choose(lane, task.get() == Py_None ? nullptr : task.get(), in_asyncio, wanted);
  if (id != 0 && wanted == IsReady) watches.MarkRaised(id);
  return id;
}

bool IsInsistedHere(const Gil&) {
  const Lane* lane = CurrentLane();
  return lane != nullptr && lane->due.load() > 0 && ChooseFor(*lane, IsInsisted) != 0;
}

// What is set for a thread is a class. An instance of this one is a KeyboardInterrupt as any other,
// which tells when it ends.
PyObject* NewException(PyTypeObject*, PyObject*, PyObject*);

// Sets the exception for a lane that takes no signals, if a target runs there.
void Arm(const Gil& gil, Lane& lane) {
  const std::uint64_t id = ChooseFor(lane, IsReady);
  if (id == 0) return;
  SetAsyncException(gil, lane.ident,
                    InterruptClass(state->exception_class, reinterpret_cast<void*>(NewException)));
  lane.armed = id;
  if (lane.wake != nullptr) lane.wake(gil, lane.ident);
}

// The KeyboardInterrupt of a watch is gone and the target still runs: something caught it, or it
// came where exceptions go nowhere (__del__). Once more, at the next chance: a loop that catches
// everything is left where it jumps back.
void OnExceptionGone(PyObject* capsule) {
  const std::unique_ptr<std::uint64_t> owned(
      static_cast<std::uint64_t*>(PyCapsule_GetPointer(capsule, nullptr)));
  const std::uint64_t id = *owned;
  Watches& watches = TheWatches();
  Lane* lane = CurrentLane();
  {
    const std::lock_guard<std::mutex> lock(watches.mutex);
    const auto found = watches.all.find(id);
    if (found == watches.all.end() || found->second.once || !found->second.waiting) return;
    found->second.waiting = false;
    watches.Schedule(id, found->second, Clock::now() + kFirstRetry);
    if (found->second.lane.get() != lane) return;
  }
  if (lane->main_thread) {
    TripInterrupt();
  } else {
    Arm(Gil::FromPython(), *lane);
  }
}

Owned MakeException(std::uint64_t id) {
  Owned exception(PyObject_CallNoArgs(PyExc_KeyboardInterrupt));
  bool once = true;
  bool insist = false;
  {
    Watches& watches = TheWatches();
    const std::lock_guard<std::mutex> lock(watches.mutex);
    const auto found = watches.all.find(id);
    if (found == watches.all.end()) return exception;
    once = found->second.once;
    insist = found->second.insist;
  }
  if (insist) Insist(Gil::FromPython(), IsInsistedHere);
  if (!exception || once) return exception;
  auto kept = std::make_unique<std::uint64_t>(id);
  const Owned capsule(PyCapsule_New(kept.get(), nullptr, OnExceptionGone));
  if (!capsule) return Owned();
  // The capsule has it.
  [[maybe_unused]] const std::uint64_t* const held = kept.release();
  if (PyObject_SetAttrString(exception.get(), kMark, capsule.get()) != 0) {
    return Owned();
  }
  return exception;
}

PyObject* NewException(PyTypeObject*, PyObject*, PyObject*) {
  const Lane* lane = CurrentLane();
  const std::uint64_t id = lane != nullptr ? lane->armed : 0;
  return id != 0 ? MakeException(id).release() : PyObject_CallNoArgs(PyExc_KeyboardInterrupt);
}

// For a lane that takes no signals, from another thread: it waits, is outside of Python, or sees
// the exception.
void Strike(const std::shared_ptr<Lane>& lane) {
  VisitApart(lane->interpreter, [lane](const Gil& gil) { Arm(gil, *lane); });
}

}  // namespace

void WatchTheClock(Watches& watches) {
  std::unique_lock<std::mutex> lock(watches.mutex);
  std::vector<std::shared_ptr<Lane>> strikes;
  for (;;) {
    const auto now = Clock::now();
    while (!watches.queue.empty() && watches.queue.begin()->first <= now) {
      const std::uint64_t id = watches.queue.begin()->second;
      Watch& watch = watches.all.at(id);
      watches.MarkDue(id, watch);
      watch.waiting = false;
      watches.Schedule(id, watch, now + watch.retry);
      watch.retry = std::min(watch.retry * 2, kLastRetry);
      if (!watch.lane->main_thread) {
        strikes.push_back(watch.lane);
      } else if (watch.lane->in_python.load()) {
        SendInterruptSignal();
      }
    }
    if (!strikes.empty()) {
      lock.unlock();
      for (const std::shared_ptr<Lane>& lane : strikes) Strike(lane);
      strikes.clear();
      lock.lock();
      continue;
    }
    watches.armed = watches.queue.empty() ? Clock::time_point::max() : watches.queue.begin()->first;
    if (watches.queue.empty()) {
      watches.changed.wait(lock);
    } else {
      watches.changed.wait_until(lock, watches.armed);
    }
    watches.armed = Clock::time_point::min();
  }
}

std::uint64_t NewWatch(const std::shared_ptr<Lane>& lane, double limit_ms) {
  Watches& watches = TheWatches();
  Watch watch;
  watch.lane = lane;
  auto when = Clock::time_point::max();
  if (limit_ms >= 0) {
    watch.limit =
        Clock::now() + std::chrono::microseconds(static_cast<std::int64_t>(limit_ms * 1000));
    when = watch.limit + kCancelFirst;
  }
  const std::lock_guard<std::mutex> lock(watches.mutex);
  return watches.Add(std::move(watch), when);
}

void WatchRun(std::uint64_t watch, std::uint64_t run) {
  Watches& watches = TheWatches();
  Owned none;
  const std::lock_guard<std::mutex> lock(watches.mutex);
  const auto found = watches.all.find(watch);
  if (found != watches.all.end()) watches.SetTarget(watch, found->second, run, &none);
}

void WatchTask(const Gil&, std::uint64_t watch, PyObject* task) {
  Watches& watches = TheWatches();
  Owned kept = Owned::NewRef(task);
  const std::lock_guard<std::mutex> lock(watches.mutex);
  const auto found = watches.all.find(watch);
  if (found == watches.all.end()) return;
  watches.SetTarget(watch, found->second, found->second.run, &kept);
}

void InterruptWatch(std::uint64_t watch) {
  Watches& watches = TheWatches();
  const std::lock_guard<std::mutex> lock(watches.mutex);
  const auto found = watches.all.find(watch);
  if (found == watches.all.end()) return;
  watches.MarkDue(watch, found->second);
  watches.Schedule(watch, found->second, Clock::now());
}

EndedWatch EndWatch(const Gil& gil, std::uint64_t watch) {
  Watches& watches = TheWatches();
  EndedWatch ended;
  Owned task;
  {
    const std::lock_guard<std::mutex> lock(watches.mutex);
    const auto found = watches.all.find(watch);
    if (found == watches.all.end()) return ended;
    if (found->second.lane->armed == watch) watches.TakeBack(*found->second.lane);
    const Watch& last = found->second;
    ended = {last.due || last.limit <= Clock::now(), last.raised};
    task = watches.Remove(watch);
  }
  StopInsisting(gil);
  return ended;
}

bool InterruptLane(const std::shared_ptr<Lane>& lane, bool insist) {
  Watches& watches = TheWatches();
  const std::lock_guard<std::mutex> lock(watches.mutex);
  // Counted before the number is read: a run that ends from here on sees the count and waits.
  lane->due.fetch_add(1);
  const std::uint64_t run = lane->innermost.load();
  if (run != 0) watches.InterruptOnce(lane, run, insist);
  lane->due.fetch_sub(1);  // MarkDue counts it
  return run != 0;
}

void AddLane(const std::shared_ptr<Lane>& lane) {
  Watches& watches = TheWatches();
  const std::lock_guard<std::mutex> lock(watches.mutex);
  watches.lanes[lane->number] = lane;
}

void RemoveLane(const Gil&, const std::shared_ptr<Lane>& lane) {
  Watches& watches = TheWatches();
  std::vector<Owned> tasks;
  lane->loop = nullptr;
  const std::lock_guard<std::mutex> lock(watches.mutex);
  watches.TakeBack(*lane);
  watches.lanes.erase(lane->number);
  std::vector<std::uint64_t> its;
  for (const auto& [id, watch] : watches.all) {
    if (watch.lane == lane) its.push_back(id);
  }
  tasks.reserve(its.size());
  for (const std::uint64_t id : its) tasks.push_back(watches.Remove(id));
}

std::shared_ptr<Lane> FindLane(int number) {
  Watches& watches = TheWatches();
  const std::lock_guard<std::mutex> lock(watches.mutex);
  const auto found = watches.lanes.find(number);
  return found == watches.lanes.end() ? nullptr : found->second;
}

bool SignalLane(const Lane& lane) {
  const std::lock_guard<std::mutex> lock(TheWatches().mutex);
  if (!lane.in_python.load()) return false;
  SendInterruptSignal();
  return true;
}

void AwaitSignals(const Lane& lane) {
  if (!lane.main_thread) return;
  {
    const std::lock_guard<std::mutex> lock(TheWatches().mutex);
  }
  AwaitInterruptSignals();
}

bool EndRun(Lane& lane, std::uint64_t run) {
  StopInsisting(Gil::FromPython());
  Watches& watches = TheWatches();
  const std::lock_guard<std::mutex> lock(watches.mutex);
  watches.TakeBack(lane);
  bool missed = false;
  for (const std::uint64_t id : std::vector<std::uint64_t>(watches.once)) {
    const Watch& watch = watches.all.at(id);
    if (watch.lane.get() != &lane || watch.run != run) continue;
    missed = missed || !watch.raised;
    (void)watches.Remove(id);
  }
  return missed;
}

bool RaiseDue(const Gil&) {
  const Lane* lane = CurrentLane();
  if (lane == nullptr || lane->due.load() == 0) return false;
  const std::uint64_t id = ChooseFor(*lane, IsReady);
  if (id == 0) return false;
  const Owned exception = MakeException(id);
  if (exception) PyErr_SetObject(PyExc_KeyboardInterrupt, exception.get());
  return true;
}

}  // namespace coloop::interp
