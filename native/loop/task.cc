// Tasks for whoever waits outside of Python.
#include "loop/task.h"

#include <Python.h>

#include <memory>
#include <utility>

#include "base/completion.h"
#include "interp/error.h"
#include "interp/gil.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"
#include "interp/run.h"
#include "loop/loop.h"
#include "loop/running.h"

namespace coloop::loop {

using interp::Owned;

namespace {

// The done callback: settles the completion with the future's outcome.
struct SettlerObject {
  PyObject_HEAD base::Completion* completion;
  PyObject* future;  // once the loop has queued it
};

struct TaskState {
  PyTypeObject* settler = nullptr;
  PyObject* task_class = nullptr;
  PyObject* keywords = nullptr;  // of its constructor, as NewTask calls it
  // Interned method names: each call makes five such calls.
  PyObject* result = nullptr;
  PyObject* done = nullptr;
  PyObject* add_done_callback = nullptr;
  PyObject* task_factory = nullptr;
  PyObject* create_task = nullptr;
};
interp::PerInterpreter<TaskState> state;

void Settle(const interp::Gil& gil, PyObject* future, base::Completion& completion) {
  const Owned result(PyObject_CallMethodNoArgs(future, state->result));
  if (result) {
    completion.Settle(result.get(), false);
  } else {
    const Owned exception = interp::TakeException(gil);
    completion.Settle(exception.get(), true);
  }
  if (PyErr_Occurred() != nullptr) interp::ReportUnraisable(gil, future);
}

void SettleOnce(const interp::Gil& gil, PyObject* self, PyObject* future) {
  auto* settler = reinterpret_cast<SettlerObject*>(self);
  const std::unique_ptr<base::Completion> completion(std::exchange(settler->completion, nullptr));
  if (completion != nullptr) Settle(gil, future, *completion);
}

PyObject* SettlerCall(PyObject* self, PyObject* args, PyObject*) {
  if (PyTuple_GET_SIZE(args) == 1) {
    SettleOnce(interp::Gil::FromPython(), self, PyTuple_GET_ITEM(args, 0));
  }
  Py_RETURN_NONE;
}

void SettlerDealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  delete reinterpret_cast<SettlerObject*>(self)->completion;
  Py_XDECREF(reinterpret_cast<SettlerObject*>(self)->future);
  type->tp_free(self);
  Py_DECREF(type);
}

PyType_Slot slots[] = {
    {Py_tp_call, reinterpret_cast<void*>(SettlerCall)},
    {Py_tp_dealloc, reinterpret_cast<void*>(SettlerDealloc)},
    {0, nullptr},
};

PyType_Spec spec = {"_coloop.Settler", sizeof(SettlerObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

#if PY_VERSION_HEX >= 0x030C0000
constexpr bool kEagerTasks = true;
#else
constexpr bool kEagerTasks = false;
#endif

PyObject* TaskKeywords() {
#if PY_VERSION_HEX >= 0x030C0000
  return Py_BuildValue("(sss)", "loop", "context", "eager_start");
#elif PY_VERSION_HEX >= 0x030B0000
  return Py_BuildValue("(ss)", "loop", "context");
#else
  return Py_BuildValue("(s)", "loop");
#endif
}

bool FindTaskClass() {
  if (state->task_class != nullptr) return true;
  const Owned tasks(PyImport_ImportModule("asyncio.tasks"));
  state->task_class = tasks ? PyObject_GetAttrString(tasks.get(), "Task") : nullptr;
  return state->task_class != nullptr;
}

// Task(coroutine, loop=loop[, context=context][, eager_start=True])
Owned NewTask(PyObject* loop, PyObject* coroutine, PyObject* context, bool eager) {
  if (!FindTaskClass()) return Owned();
#if PY_VERSION_HEX >= 0x030C0000
  PyObject* values[] = {coroutine, loop, context != nullptr ? context : Py_None,
                        eager ? Py_True : Py_False};
  return Owned(PyObject_Vectorcall(state->task_class, values, 1, state->keywords));
#elif PY_VERSION_HEX >= 0x030B0000
  (void)eager;
  PyObject* values[] = {coroutine, loop, context != nullptr ? context : Py_None};
  return Owned(PyObject_Vectorcall(state->task_class, values, 1, state->keywords));
#else
  (void)eager;
  // A Task of 3.10 copies the context that it is made in.
  PyObject* values[] = {coroutine, loop};
  if (context != nullptr && PyContext_Enter(context) != 0) return Owned();
  Owned task(PyObject_Vectorcall(state->task_class, values, 1, state->keywords));
  if (context != nullptr && PyContext_Exit(context) != 0) return Owned();
  return task;
#endif
}

Owned MakeTask(PyObject* loop, PyObject* coroutine, PyObject* context, bool eager) {
  const Owned factory(PyObject_GetAttr(loop, state->task_factory));
  if (!factory) return Owned();
  if (factory.get() == Py_None) return NewTask(loop, coroutine, context, eager);
  return Owned(PyObject_CallMethodOneArg(loop, state->create_task, coroutine));
}

bool IsDone(PyObject* future) {
  const Owned done(PyObject_CallMethodNoArgs(future, state->done));
  if (!done) PyErr_Clear();
  return done.get() == Py_True;
}

}  // namespace

Owned RunAwaitable(const interp::Gil& gil, PyObject* loop, PyObject* awaitable, PyObject* context,
                   bool eager, std::unique_ptr<base::Completion> completion) {
  Owned future;
  bool fresh = false;  // a new Task that has not run cannot be done
  if (!PyCoro_CheckExact(awaitable)) {
    future = Owned::NewRef(awaitable);
  } else if (kEagerTasks && eager) {
    const RunningLoop running(gil, loop);
    interp::Run run;
    if (interp::Lane* lane = interp::CurrentLane(); lane != nullptr) run.BeginFirstStep(*lane);
    const Owned kept = Owned::NewRef(loop);  // the Task's first step may close it
    bool& starting = Loop::From(gil, loop)->starting_task;
    const bool before = std::exchange(starting, true);
    future = MakeTask(loop, awaitable, context, true);
    starting = before;
  } else {
    future = MakeTask(loop, awaitable, context, false);
    fresh = true;
  }
  if (!future) {
    // A Task that starts at once raises SystemExit and KeyboardInterrupt out of its constructor.
    const Owned exception = interp::TakeException(gil);
    completion->Settle(exception.get(), true);
    return future;
  }
  if (!fresh && IsDone(future.get())) {
    Settle(gil, future.get(), *completion);
    return future;
  }
  const Owned settler(state->settler->tp_alloc(state->settler, 0));
  if (!settler) return Owned();
  completion->Keep(future.get());  // before: an odd awaitable calls back at once
  reinterpret_cast<SettlerObject*>(settler.get())->completion = completion.release();
  const Owned added(
      PyObject_CallMethodOneArg(future.get(), state->add_done_callback, settler.get()));
  return added ? std::move(future) : Owned();
}

// The type has no subclasses, and there may be one in each interpreter.
bool IsSettler(PyObject* object) { return Py_TYPE(object)->tp_dealloc == SettlerDealloc; }

void PrepareSettler(PyObject* settler, PyObject* future) {
  Py_INCREF(future);
  Py_XSETREF(reinterpret_cast<SettlerObject*>(settler)->future, future);
}

void RunSettler(const interp::Gil& gil, PyObject* settler) {
  const Owned future(std::exchange(reinterpret_cast<SettlerObject*>(settler)->future, nullptr));
  SettleOnce(gil, settler, future.get());
}

bool AddTaskTypes(const interp::Gil&) {
  state->settler = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  state->result = PyUnicode_InternFromString("result");
  state->done = PyUnicode_InternFromString("done");
  state->add_done_callback = PyUnicode_InternFromString("add_done_callback");
  state->task_factory = PyUnicode_InternFromString("_task_factory");
  state->create_task = PyUnicode_InternFromString("create_task");
  state->keywords = TaskKeywords();
  return state->settler != nullptr && PyErr_Occurred() == nullptr;
}

}  // namespace coloop::loop
