// The module keeps its definition but for the guarded methods, which ask the policy first and then
// call the C function that stood in their place. No Python object is added, so nothing leads to the
// original.
#include "sandbox/guards.h"

#include <Python.h>
#include <frameobject.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "interp/gil.h"
#include "interp/ref.h"
#include "interp/signals.h"
#include "sandbox/events.h"
#include "sandbox/inittab.h"
#include "sandbox/policy.h"
#include "sandbox/refusal.h"

namespace coloop::sandbox {

namespace {

using interp::Owned;

// In the order of kGuarded.
constexpr std::array kGuarded = {
    IdOf("signal.alarm"),         IdOf("signal.pthread_sigmask"), IdOf("signal.set_wakeup_fd"),
    IdOf("signal.setitimer"),     IdOf("signal.siginterrupt"),    IdOf("signal.signal"),
    IdOf("faulthandler.disable"), IdOf("faulthandler.enable"),    IdOf("faulthandler.register"),
};

std::array<PyCFunction, kGuarded.size()> originals;  // written before a guard can be called
std::atomic<bool> armed{false};

// multiprocessing's resource tracker blocks signals around the child it starts. Then the start of
// the child is what counts, and what the exception should tell of. It is refused either way, so
// nothing is gained by taking the name on.
bool CallerStartsChild() {
  PyFrameObject* frame = PyEval_GetFrame();
  bool found = false;
  Py_XINCREF(frame);
  for (int depth = 0; frame != nullptr && depth < 3 && !found; ++depth) {
    const Owned globals(PyObject_GetAttrString(reinterpret_cast<PyObject*>(frame), "f_globals"));
    PyObject* name = globals ? PyDict_GetItemString(globals.get(), "__name__") : nullptr;
    found = name != nullptr && PyUnicode_Check(name) != 0 &&
            PyUnicode_CompareWithASCIIString(name, "multiprocessing.resource_tracker") == 0;
    PyFrameObject* back = PyFrame_GetBack(frame);
    Py_DECREF(frame);
    frame = back;
  }
  Py_XDECREF(frame);
  return found;
}

// `pthread_sigmask(SIG_BLOCK, [])` is how one reads the mask. `set_wakeup_fd(-1)` takes away what
// is not there; asyncio calls it in a forked child, should a policy allow one.
bool ChangesNothing(EventId event, PyObject* first, PyObject* second) {
  if (first == nullptr || PyLong_Check(first) == 0) return false;
  if (event == IdOf("signal.set_wakeup_fd")) return PyLong_AsLong(first) == -1;
  if (event != IdOf("signal.pthread_sigmask") || second == nullptr) return false;
  const bool container = PyList_CheckExact(second) || PyTuple_CheckExact(second) ||
                         PyAnySet_CheckExact(second) || PyRange_Check(second);
  return container && PyLong_AsLong(first) != SIG_SETMASK && PyObject_Size(second) == 0;
}

// One overload for each calling convention.
bool Harmless(EventId event, PyObject* const* arguments, Py_ssize_t count) {
  return ChangesNothing(event, count > 0 ? arguments[0] : nullptr,
                        count > 1 ? arguments[1] : nullptr);
}
bool Harmless(EventId event, PyObject* const* arguments, Py_ssize_t count, PyObject*) {
  return Harmless(event, arguments, count);
}
bool Harmless(EventId event, PyObject* tuple, PyObject*) {
  return ChangesNothing(event, PyTuple_GET_SIZE(tuple) > 0 ? PyTuple_GET_ITEM(tuple, 0) : nullptr,
                        PyTuple_GET_SIZE(tuple) > 1 ? PyTuple_GET_ITEM(tuple, 1) : nullptr);
}
bool Harmless(EventId, PyObject*) { return false; }

// signal.signal(number, handler) where Python may have handlers: Node's disposition stays.
template <typename... Arguments>
PyObject* Route(PyCFunction function, PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                Arguments... rest) {
  const EventId event = IdOf("signal.signal");
  const interp::Gil gil = interp::Gil::FromPython();
  const long number = count == 2 ? PyLong_AsLong(arguments[0]) : -1;
  if (number < 1 || number >= NSIG) {
    PyErr_Clear();
  } else if (!interp::CanRoute(gil, static_cast<int>(number), arguments[1])) {
    return Refuse(event);
  }
  using Original = PyObject* (*)(PyObject*, PyObject* const*, Py_ssize_t, Arguments...);
  const auto original = reinterpret_cast<Original>(function);
  if (number < 1 || number >= NSIG) return original(self, arguments, count, rest...);
  Owned before;
  {
    const interp::KeptDisposition kept(static_cast<int>(number));
    before = Owned(original(self, arguments, count, rest...));
  }
  if (before) interp::HandlerChanged(gil, static_cast<int>(number), arguments[1]);
  return before.release();
}
// No CPython has these conventions for it.
PyObject* Route(PyCFunction, PyObject*, PyObject*) { return Refuse(IdOf("signal.signal")); }
PyObject* Route(PyCFunction, PyObject*, PyObject*, PyObject*) {
  return Refuse(IdOf("signal.signal"));
}

template <std::size_t kIndex, typename... Arguments>
PyObject* Guard(PyObject* self, Arguments... arguments) {
  EventId event = kGuarded[kIndex];
  if (GuardsArmed() && Denied(event) && !Harmless(event, arguments...)) {
    if (event == IdOf("signal.pthread_sigmask") && CallerStartsChild()) {
      event = IdOf("_posixsubprocess.fork_exec");
    }
    PyErr_Clear();
    if (event == IdOf("signal.signal") && interp::SignalsRouted()) {
      return Route(originals[kIndex], self, arguments...);
    }
    if (Denied(event)) return Refuse(event);
  }
  const auto original = reinterpret_cast<PyObject* (*)(PyObject*, Arguments...)>(originals[kIndex]);
  COLOOP_CHECK(original != nullptr);
  return original(self, arguments...);
}

// The guard with the calling convention of the method it replaces.
template <std::size_t kIndex>
PyCFunction GuardFor(int flags) {
  constexpr int kConventions = METH_VARARGS | METH_FASTCALL | METH_KEYWORDS | METH_NOARGS | METH_O;
  switch (flags & kConventions) {
    case METH_O:
    case METH_NOARGS:
    case METH_VARARGS:
      return Guard<kIndex, PyObject*>;
    case METH_VARARGS | METH_KEYWORDS:
      return reinterpret_cast<PyCFunction>(Guard<kIndex, PyObject*, PyObject*>);
    case METH_FASTCALL:
      return reinterpret_cast<PyCFunction>(Guard<kIndex, PyObject* const*, Py_ssize_t>);
    case METH_FASTCALL | METH_KEYWORDS:
      return reinterpret_cast<PyCFunction>(Guard<kIndex, PyObject* const*, Py_ssize_t, PyObject*>);
    default:
      COLOOP_UNREACHABLE();
  }
}

template <std::size_t... kIndices>
PyCFunction GuardAt(std::size_t index, int flags, std::index_sequence<kIndices...>) {
  using Maker = PyCFunction (*)(int);
  constexpr std::array<Maker, sizeof...(kIndices)> kMakers = {GuardFor<kIndices>...};
  return kMakers[index](flags);
}

// A copy of a multi-phase module's definition with guards in it. Lives as long as the process.
struct GuardedModule {
  std::string_view prefix;  // of the events that guard it, with the dot
  ModuleInit original = nullptr;
  PyModuleDef definition = {};
  std::vector<PyMethodDef> methods;

  void Build() {
    COLOOP_CHECK(original != nullptr);
    const auto* source = reinterpret_cast<PyModuleDef*>(original());
    COLOOP_CHECK(source != nullptr && source->m_slots != nullptr);
    definition = *source;
    definition.m_base = PyModuleDef_HEAD_INIT;
    for (const PyMethodDef* method = source->m_methods; method->ml_name != nullptr; ++method) {
      methods.push_back(*method);
      for (std::size_t i = 0; i < kGuarded.size(); ++i) {
        const std::string_view event = kEvents[kGuarded[i]].name;
        if (!event.starts_with(prefix) || event.substr(prefix.size()) != method->ml_name) continue;
        originals[i] = method->ml_meth;
        methods.back().ml_meth =
            GuardAt(i, method->ml_flags, std::make_index_sequence<kGuarded.size()>());
      }
    }
    methods.push_back(PyMethodDef{});
    definition.m_methods = methods.data();
  }
};

GuardedModule& Signal() {
  static GuardedModule module{"signal."};
  return module;
}

GuardedModule& Faulthandler() {
  static GuardedModule module{"faulthandler."};
  return module;
}

// The table's init functions take no argument, so there is one for each module. Built at the first
// import, not before: the original may need Python's types to be ready.
template <GuardedModule& (*kModule)()>
PyObject* InitGuarded() {
  static const bool built = [] {
    kModule().Build();
    return true;
  }();
  return built ? PyModuleDef_Init(&kModule().definition) : nullptr;
}

}  // namespace

bool GuardModules() {
  return ReplaceBuiltin("_signal", InitGuarded<Signal>, &Signal().original) &&
         ReplaceBuiltin("faulthandler", InitGuarded<Faulthandler>, &Faulthandler().original) &&
         Signal().original != nullptr && Faulthandler().original != nullptr;
}

void ArmGuards() { armed.store(true, std::memory_order_release); }

bool GuardsArmed() { return armed.load(std::memory_order_acquire); }

}  // namespace coloop::sandbox
