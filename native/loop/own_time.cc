#include "loop/own_time.h"

#include <Python.h>

#include "interp/gil.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"
#include "loop/loop.h"

namespace coloop::loop {

using interp::Gil;
using interp::Owned;

namespace {

struct TimeState {
  PyObject* name = nullptr;
  PyObject* ours = nullptr;  // the method
};
interp::PerInterpreter<TimeState> state;

bool IsTime(PyObject* name) {
  return name == state->name || PyUnicode_CompareWithASCIIString(name, "time") == 0;
}

}  // namespace

bool InitOwnTime(const Gil&, PyObject* loop_type) {
  state->name = PyUnicode_InternFromString("time");
  state->ours = state->name != nullptr ? PyObject_GetAttr(loop_type, state->name) : nullptr;
  return state->ours != nullptr;
}

void FindOwnTime(PyObject* object, Loop& loop, bool set) {
  const Owned of_class(PyObject_GetAttr(reinterpret_cast<PyObject*>(Py_TYPE(object)), state->name));
  if (!of_class) PyErr_Clear();
  loop.SetOwnTime(set || of_class.get() != state->ours);
}

bool Loop::TimerNow(const Gil&, double* now) {
  *now = Now();
  if (!own_time_ || self_ == nullptr) return true;
  const Owned time(PyObject_CallMethodNoArgs(self_, state->name));
  const double seconds = time ? PyFloat_AsDouble(time.get()) : -1.0;
  if (PyErr_Occurred() != nullptr) return false;
  *now = seconds;
  time_offset_ = Now() - seconds;
  return true;
}

bool Loop::AskTime(const Gil& gil) {
  double now = 0;
  return !own_time_ || timers_.empty() || TimerNow(gil, &now);
}

// Before a poll. An earlier time that it is set for already only wakes the loop in vain.
void Loop::ArmTimer() {
  if (timers_.empty()) {
    armed_for_ = kNever;
    return;
  }
  const double first = timers_.first() + time_offset_;
  if (armed_for_ <= first && armed_for_ > Now()) return;
  armed_for_ = first;
  if (first != kNever) poller_.SetTimer(first);
}

int SetLoopAttribute(PyObject* self, PyObject* name, PyObject* value) {
  if (PyObject_GenericSetAttr(self, name, value) != 0) return -1;
  Loop* loop = IsTime(name) ? Loop::From(Gil::FromPython(), self) : nullptr;
  if (loop != nullptr) FindOwnTime(self, *loop, value != nullptr);
  return 0;
}

}  // namespace coloop::loop
