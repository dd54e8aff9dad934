#include "loop/metrics.h"

#include <Python.h>

#include <array>
#include <cstddef>
#include <utility>

#include "base/counters.h"
#include "interp/gil.h"
#include "interp/ref.h"
#include "loop/channel.h"
#include "loop/loop.h"
#include "loop/poller.h"

namespace coloop::loop {

using interp::Owned;

namespace {

constexpr std::size_t kKinds = static_cast<std::size_t>(Channel::Kind::kCount);
constexpr std::array<const char*, kKinds> kKindNames = {"streams", "datagrams", "pipes",
                                                        "acceptors", "sockets"};

bool Put(const Owned& dict, const char* name, PyObject* value) {
  const Owned owned(value);
  return owned && PyDict_SetItemString(dict.get(), name, owned.get()) == 0;
}

PyObject* Count(std::size_t count) { return PyLong_FromSize_t(count); }

// How many descriptors the loop serves, by what they are.
Owned Handles(const Poller& poller) {
  std::array<std::size_t, kKinds> counts{};
  std::size_t watches = 0;
  poller.VisitWatches([&](bool watched, const Channel* channel) {
    if (watched) ++watches;
    if (channel != nullptr) ++counts[static_cast<std::size_t>(channel->kind())];
  });
  Owned handles(PyDict_New());
  if (!handles || !Put(handles, "watches", Count(watches))) return Owned();
  for (std::size_t i = 0; i < kKinds; ++i) {
    if (!Put(handles, kKindNames[i], Count(counts[i]))) return Owned();
  }
  return handles;
}

PyObject* GilWait() {
  const interp::GilWaits& waits = interp::CurrentGilWaits();
  return Py_BuildValue("{sdsdsK}", "total", static_cast<double>(waits.nanoseconds) / 1e9, "max",
                       static_cast<double>(waits.longest) / 1e9, "count",
                       static_cast<unsigned long long>(waits.count));
}

PyObject* LiveObjects() {
  const auto live = [](base::Live kind) { return static_cast<long long>(base::LiveCount(kind)); };
  return Py_BuildValue("{sLsLsLsL}", "proxies", live(base::Live::kPyProxy), "references",
                       live(base::Live::kJsRef), "promises", live(base::Live::kDeferred), "buffers",
                       live(base::Live::kBuffer));
}

}  // namespace

Owned Loop::Metrics(const interp::Gil&) const {
  Owned metrics(PyDict_New());
  Owned handles = Handles(poller_);
  const bool done =
      metrics && handles &&
      Put(metrics, "lag",
          Py_BuildValue("{sdsdsd}", "last", lag_.last, "mean", lag_.mean(), "max", lag_.longest)) &&
      Put(metrics, "iterations", PyLong_FromUnsignedLongLong(iterations_)) &&
      Put(metrics, "ready_depth", Count(ready_.size())) &&
      Put(metrics, "timers", Count(timers_.live())) && Put(metrics, "handles", handles.release()) &&
      Put(metrics, "gil_wait", GilWait()) && Put(metrics, "live_objects", LiveObjects());
  return done ? std::move(metrics) : Owned();
}

}  // namespace coloop::loop
