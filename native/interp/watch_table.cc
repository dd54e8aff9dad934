// Keeping the table of watches. The mutex is held throughout.
#include "interp/watch_table.h"

#include <Python.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <thread>
#include <unordered_map>
#include <utility>

#include "interp/gil.h"
#include "interp/interrupt.h"
#include "interp/ref.h"
#include "interp/run.h"

namespace coloop::interp {

namespace {

// What Python may take to clean up before it is interrupted once more.
constexpr milliseconds kCleanUp{1000};

template <typename Key>
void Erase(std::unordered_multimap<Key, std::uint64_t>& index, Key key, std::uint64_t id) {
  const auto [first, last] = index.equal_range(key);
  const auto found =
      std::find_if(first, last, [id](const auto& entry) { return entry.second == id; });
  if (found != last) index.erase(found);
}

}  // namespace

bool IsReady(const Watch& watch) { return !watch.waiting && !(watch.once && watch.raised); }
bool IsInsisted(const Watch& watch) { return watch.insist; }

Watches& TheWatches() {
  static auto* watches = new Watches;
  return *watches;
}

void Watches::Schedule(std::uint64_t id, Watch& watch, Clock::time_point when) {
  if (watch.when != Clock::time_point::max()) queue.erase({watch.when, id});
  watch.when = when;
  if (when == Clock::time_point::max()) return;
  queue.emplace(when, id);
  if (!started) {
    started = true;
    std::thread([this] { WatchTheClock(*this); }).detach();
  } else if (when < armed) {
    changed.notify_one();
  }
}

std::uint64_t Watches::Add(Watch watch, Clock::time_point when) {
  const std::uint64_t id = ++last;
  Schedule(id, all.emplace(id, std::move(watch)).first->second, when);
  return id;
}

// Its Task, for the caller to drop without the mutex.
Owned Watches::Remove(std::uint64_t id) {
  const auto found = all.find(id);
  if (found == all.end()) return Owned();
  Watch& watch = found->second;
  Schedule(id, watch, Clock::time_point::max());
  if (watch.due) {
    watch.lane->due.fetch_sub(1);
    Due& its = due[watch.lane.get()];
    Erase(its.runs, watch.run, id);
    Erase(its.tasks, static_cast<const PyObject*>(watch.task.get()), id);
    if (its.runs.empty()) due.erase(watch.lane.get());
  }
  Owned task = std::move(watch.task);
  if (watch.once) once.erase(std::find(once.begin(), once.end(), id));
  all.erase(found);
  return task;
}

void Watches::MarkDue(std::uint64_t id, Watch& watch) {
  if (watch.due) return;
  watch.due = true;
  watch.lane->due.fetch_add(1);
  Due& its = due[watch.lane.get()];
  its.runs.emplace(watch.run, id);
  its.tasks.emplace(watch.task.get(), id);
}

// One for each run: what has not been raised yet is enough.
void Watches::InterruptOnce(const std::shared_ptr<Lane>& lane, std::uint64_t run, bool insist) {
  const auto is_its = [&](std::uint64_t id) {
    const Watch& watch = all.at(id);
    return watch.lane == lane && watch.run == run;
  };
  const auto found = std::find_if(once.begin(), once.end(), is_its);
  const bool is_new = found == once.end();
  if (is_new) {
    Watch watch;
    watch.lane = lane;
    watch.once = true;
    watch.run = run;
    once.push_back(Add(std::move(watch), Clock::time_point::max()));
  }
  const std::uint64_t id = is_new ? once.back() : *found;
  Watch& watch = all.at(id);
  watch.insist = watch.insist || insist;
  if (!is_new && !watch.raised) return;
  watch.raised = false;
  watch.waiting = false;
  watch.retry = kFirstRetry;
  MarkDue(id, watch);
  Schedule(id, watch, Clock::now());
}

// `task` gives back what is to be dropped without the mutex.
void Watches::SetTarget(std::uint64_t id, Watch& watch, std::uint64_t run, Owned* task) {
  if (watch.due) {
    Due& its = due[watch.lane.get()];
    Erase(its.runs, watch.run, id);
    Erase(its.tasks, static_cast<const PyObject*>(watch.task.get()), id);
    its.runs.emplace(run, id);
    its.tasks.emplace(task->get(), id);
  }
  watch.run = run;
  std::swap(watch.task, *task);
}

void Watches::MarkRaised(std::uint64_t id) {
  const auto found = all.find(id);
  if (found == all.end()) return;
  Watch& watch = found->second;
  watch.raised = true;
  watch.waiting = true;
  const auto now = Clock::now();
  watch.first_raised = std::min(watch.first_raised, now);
  if (!watch.once && now - watch.first_raised >= kPatience) watch.insist = true;
  Schedule(id, watch, watch.once ? Clock::time_point::max() : now + kCleanUp);
}

// On the lane's thread: an exception that is set for it and has not reached Python.
void Watches::TakeBack(Lane& lane) {
  const std::uint64_t id = std::exchange(lane.armed, 0);
  if (id == 0 || PyThreadState_Get()->async_exc == nullptr) return;
  SetAsyncException(Gil::FromPython(), lane.ident, nullptr);
  const auto found = all.find(id);
  if (found == all.end()) return;
  found->second.raised = false;
  found->second.waiting = false;
  Schedule(id, found->second, Clock::now());
}

// The due watch whose target runs now; of several the innermost. GIL held.
std::uint64_t Watches::Choose(const Lane& lane, const PyObject* task, bool in_asyncio,
                              bool (*wanted)(const Watch& watch)) {
  const auto found = due.find(&lane);
  if (found == due.end()) return 0;
  const auto is_wanted = [&](const auto& entry) { return wanted(all.at(entry.second)); };
  if (task != nullptr) {
    const auto [first, last] = found->second.tasks.equal_range(task);
    const auto chosen = std::find_if(first, last, is_wanted);
    if (chosen != last) return chosen->second;
  }
  for (const interp::Run* run = lane.top; run != nullptr; run = run->outer()) {
    if (in_asyncio && run->first_step()) continue;
    const auto [first, last] = found->second.runs.equal_range(run->number());
    const auto chosen = std::find_if(first, last, is_wanted);
    if (chosen != last) return chosen->second;
  }
  return 0;
}

}  // namespace coloop::interp
