// The guards are written into posix's table of methods, in place: its functions find their module's
// state by the address of the definition.
#include "sandbox/children.h"

#include <Python.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "interp/error.h"
#include "interp/gil.h"
#include "interp/ref.h"
#include "sandbox/events.h"
#include "sandbox/inittab.h"
#include "sandbox/refusal.h"

namespace coloop::sandbox {

namespace {

using interp::Owned;

constexpr const char* kHandlersKey = "coloop.children";
enum Handler : Py_ssize_t { kForkExec, kWait, kExited, kOrphaned, kHandlerCount };

// Null without an exception: only the interpreter that runs children has them.
Owned HandlerOf(Handler handler) {
  PyObject* state = PyInterpreterState_GetDict(PyInterpreterState_Get());
  PyObject* handlers = state != nullptr ? PyDict_GetItemString(state, kHandlersKey) : nullptr;
  return handlers != nullptr ? Owned::NewRef(PyTuple_GET_ITEM(handlers, handler)) : Owned();
}

constexpr std::array kWaits = {"wait", "waitpid", "waitid", "wait3", "wait4"};
std::array<PyCFunction, kWaits.size()> originals;  // written before a guard can be called
ModuleInit original_init = nullptr;

// What Python's half says of a wait: NotImplemented if it is none of its children's.
Owned Ask(std::size_t wait, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
  const Owned handler = HandlerOf(kWait);
  if (!handler) return Owned::NewRef(Py_NotImplemented);
  const Owned name(PyUnicode_FromString(kWaits[wait]));
  if (!name) return Owned();
  const Py_ssize_t all = count + (names != nullptr ? PyTuple_GET_SIZE(names) : 0);
  std::vector<PyObject*> values = {name.get()};
  std::copy_n(arguments, all, std::back_inserter(values));
  return Owned(PyObject_Vectorcall(handler.get(), values.data(),
                                   static_cast<std::size_t>(count) + 1, names));
}

// One overload for each calling convention: METH_NOARGS, METH_FASTCALL, and that with keywords.
Owned AskFor(std::size_t wait, PyObject*) { return Ask(wait, nullptr, 0, nullptr); }
Owned AskFor(std::size_t wait, PyObject* const* arguments, Py_ssize_t count) {
  return Ask(wait, arguments, count, nullptr);
}
Owned AskFor(std::size_t wait, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
  return Ask(wait, arguments, count, names);
}

template <std::size_t kIndex, typename... Arguments>
PyObject* Wait(PyObject* self, Arguments... arguments) {
  Owned answer = AskFor(kIndex, arguments...);
  if (!answer || answer.get() != Py_NotImplemented) return answer.release();
  const auto original = reinterpret_cast<PyObject* (*)(PyObject*, Arguments...)>(originals[kIndex]);
  return original(self, arguments...);
}

template <std::size_t kIndex>
PyCFunction GuardFor(int flags) {
  switch (flags & (METH_VARARGS | METH_FASTCALL | METH_KEYWORDS | METH_NOARGS | METH_O)) {
    case METH_NOARGS:
      return Wait<kIndex, PyObject*>;
    case METH_FASTCALL:
      return reinterpret_cast<PyCFunction>(Wait<kIndex, PyObject* const*, Py_ssize_t>);
    case METH_FASTCALL | METH_KEYWORDS:
      return reinterpret_cast<PyCFunction>(Wait<kIndex, PyObject* const*, Py_ssize_t, PyObject*>);
    default:
      COLOOP_UNREACHABLE();
  }
}

template <std::size_t... kIndices>
void GuardMethod(PyMethodDef* method, std::index_sequence<kIndices...>) {
  using Maker = PyCFunction (*)(int);
  constexpr std::array<Maker, sizeof...(kIndices)> kMakers = {GuardFor<kIndices>...};
  for (std::size_t i = 0; i < kWaits.size(); ++i) {
    if (std::string_view(kWaits[i]) != method->ml_name) continue;
    originals[i] = method->ml_meth;
    method->ml_meth = kMakers[i](method->ml_flags);
  }
}

PyObject* InitPosix() {
  PyObject* module = original_init();
  if (module == nullptr) return nullptr;
  auto* definition = reinterpret_cast<PyModuleDef*>(module);
  static const bool guarded = [definition] {
    for (PyMethodDef* method = definition->m_methods; method->ml_name != nullptr; ++method) {
      GuardMethod(method, std::make_index_sequence<kWaits.size()>());
    }
    return true;
  }();
  return guarded ? module : nullptr;
}

PyObject* RouteChildren(PyObject*, PyObject* arguments) {
  PyObject* state = PyInterpreterState_GetDict(PyInterpreterState_Get());
  if (PyTuple_GET_SIZE(arguments) != kHandlerCount) {
    PyErr_SetString(PyExc_TypeError, "_route_children takes four functions");
    return nullptr;
  }
  if (state == nullptr || PyDict_SetItemString(state, kHandlersKey, arguments) != 0) return nullptr;
  Py_RETURN_NONE;
}

PyObject* RefuseChild(PyObject*, PyObject* arguments) {
  const char* why = nullptr;
  if (PyArg_ParseTuple(arguments, "s", &why) == 0) return nullptr;
  return Refuse(IdOf("subprocess.Popen"), nullptr, why);
}

// The status of a child that has ended and that nobody has waited for yet, or None. It stays so.
PyObject* PeekChild(PyObject*, PyObject* argument) {
  const long pid = PyLong_AsLong(argument);
  if (pid == -1 && PyErr_Occurred() != nullptr) return nullptr;
  siginfo_t info = {};
  // The flags are in <sys/wait.h>, behind headers that clang-tidy does not look through.
  // NOLINTNEXTLINE(misc-include-cleaner)
  const int result = waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT);
  if (result != 0 || info.si_pid == 0) Py_RETURN_NONE;
  int status = info.si_status;
  if (info.si_code == CLD_EXITED) status <<= 8;
  if (info.si_code == CLD_DUMPED) status |= 0x80;
  return PyLong_FromLong(status);
}

std::vector<int> OpenDescriptors() {
  std::vector<int> descriptors;
  for (const char* folder : {"/proc/self/fd", "/dev/fd"}) {
    DIR* directory = opendir(folder);
    if (directory == nullptr) continue;
    // This thread's own stream.
    while (const dirent* entry = readdir(directory)) {  // NOLINT(concurrency-mt-unsafe)
      char* end = nullptr;
      const long number = std::strtol(entry->d_name, &end, 10);
      if (end != entry->d_name && *end == '\0') descriptors.push_back(static_cast<int>(number));
    }
    closedir(directory);
    break;
  }
  return descriptors;
}

void ToggleCloseOnExec(int descriptor) {
  const int flags = fcntl(descriptor, F_GETFD);
  if (flags >= 0) fcntl(descriptor, F_SETFD, flags ^ FD_CLOEXEC);
}

// Null with an exception set.
Owned ListOf(const std::vector<int>& numbers) {
  Owned list(PyList_New(static_cast<Py_ssize_t>(numbers.size())));
  for (std::size_t i = 0; list && i < numbers.size(); ++i) {
    PyObject* number = PyLong_FromLong(numbers[i]);
    if (number == nullptr) return Owned();
    PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(i), number);
  }
  return list;
}

// (descriptors to inherit, whether no others are): sets their close-on-exec flags for the child
// that is started next. Returns the descriptors it changed.
PyObject* ShieldDescriptors(PyObject*, PyObject* arguments) {
  PyObject* keep = nullptr;
  int close_others = 0;
  if (PyArg_ParseTuple(arguments, "O!p", &PyTuple_Type, &keep, &close_others) == 0) return nullptr;
  std::vector<int> kept;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(keep); ++i) {
    kept.push_back(static_cast<int>(PyLong_AsLong(PyTuple_GET_ITEM(keep, i))));
    if (PyErr_Occurred() != nullptr) return nullptr;
  }
  std::vector<int> changed;
  const auto set = [&changed](int descriptor, bool inherit) {
    const int flags = fcntl(descriptor, F_GETFD);
    if (flags < 0 || ((flags & FD_CLOEXEC) == 0) == inherit) return;
    if (fcntl(descriptor, F_SETFD, flags ^ FD_CLOEXEC) == 0) changed.push_back(descriptor);
  };
  for (const int descriptor : kept) set(descriptor, true);
  const std::vector<int> open = close_others != 0 ? OpenDescriptors() : std::vector<int>();
  for (const int descriptor : open) {
    const bool is_kept = std::find(kept.begin(), kept.end(), descriptor) != kept.end();
    if (descriptor > 2 && !is_kept) set(descriptor, false);
  }
  Owned list = ListOf(changed);
  if (!list) std::for_each(changed.begin(), changed.end(), ToggleCloseOnExec);
  return list.release();
}

// Gives the descriptors that ShieldDescriptors changed the flag they had.
PyObject* UnshieldDescriptors(PyObject*, PyObject* list) {
  const Owned sequence(PySequence_Fast(list, "the descriptors must be a list"));
  if (!sequence) return nullptr;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence.get()); ++i) {
    const int descriptor =
        static_cast<int>(PyLong_AsLong(PySequence_Fast_GET_ITEM(sequence.get(), i)));
    if (PyErr_Occurred() != nullptr) return nullptr;
    ToggleCloseOnExec(descriptor);
  }
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"_route_children", RouteChildren, METH_VARARGS,
     "(fork_exec, wait, exited, orphaned): what Python does by children of Node's."},
    {"_refuse_child", RefuseChild, METH_VARARGS, "(why): raises the refusal of a child."},
    {"_peek_child", PeekChild, METH_O,
     "The status of a child that nobody has waited for, or None."},
    {"_shield_descriptors", ShieldDescriptors, METH_VARARGS,
     "(inherited, whether no others are) -> the descriptors whose flag was changed."},
    {"_unshield_descriptors", UnshieldDescriptors, METH_O, "Undoes _shield_descriptors."},
    {nullptr, nullptr, 0, nullptr},
};

void Report(const interp::Gil& gil, const Owned& result) {
  if (!result) interp::ReportUnraisable(gil, nullptr);
}

}  // namespace

bool GuardWaits() {
  return ReplaceBuiltin("posix", InitPosix, &original_init) && original_init != nullptr;
}

Owned ForkExecHandler() { return HandlerOf(kForkExec); }

void ChildExited(const interp::Gil& gil, int pid, int status) {
  const Owned handler = HandlerOf(kExited);
  if (handler) Report(gil, Owned(PyObject_CallFunction(handler.get(), "ii", pid, status)));
}

void OrphanChildren(const interp::Gil& gil) {
  const Owned handler = HandlerOf(kOrphaned);
  if (handler) Report(gil, Owned(PyObject_CallNoArgs(handler.get())));
}

bool AddChildrenToModule(const interp::Gil&, PyObject* module) {
  return PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace coloop::sandbox
