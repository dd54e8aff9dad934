// The hook itself. It runs in every thread that holds a GIL, from before Python is up until after
// it is gone; what it lets pass costs a look-up, runs no Python code and allocates nothing.
#include "sandbox/audit_hook.h"

#include <Python.h>

#include <atomic>
#include <string>
#include <vector>

#include "base/result.h"
#include "interp/gil.h"
#include "interp/insist.h"
#include "sandbox/cffi.h"
#include "sandbox/children.h"
#include "sandbox/ctypes_symbols.h"
#include "sandbox/events.h"
#include "sandbox/guards.h"
#include "sandbox/inspect.h"
#include "sandbox/policy.h"
#include "sandbox/posixsubprocess.h"
#include "sandbox/refusal.h"
#include "sandbox/reports.h"
#include "sandbox/rules.h"

namespace coloop::sandbox {

namespace {

thread_local bool starting = false;

// What an interrupt does is not the code's doing. From Python 3.12 on a refusal of the other event
// ends the process: the import of the module that leads to it is refused instead.
bool MustPass(EventId event) {
  if (event == IdOf("sys.settrace")) return interp::IsInsistenceChanging();
  return PY_VERSION_HEX >= 0x030c0000 && event == IdOf("cpython.PyInterpreterState_New");
}

bool PassesAtStart(EventId event) { return starting && kEvents[event].standard == Verdict::kAllow; }

// Apart, so that the common case has no frame to set up.
[[gnu::noinline]] int Decide(EventId event, PyObject* arguments) {
  const Finding finding = Inspect(event, arguments);
  if (finding.refused != kUnknownEvent) {
    if (PassesAtStart(finding.refused)) return 0;
    Refuse(finding.refused, arguments, finding.why);
    return -1;
  }
  if (finding.watched != kUnknownEvent) ReportEvent(finding.watched, Reported::kWatched, arguments);
  PyObject* cffi = event == IdOf("import") ? CffiFile(arguments) : nullptr;
  if (cffi != nullptr) GuardCffi(cffi);
  return 0;
}

int Hook(const char* name, PyObject* arguments, void*) {
  const EventId event = FindEvent(name);
  if (event == kUnknownEvent) return 0;
  const Action action = ActionOf(event);
  if (action == Action::kPass) return 0;
  if (action == Action::kInspect) return Decide(event, arguments);
  if (PassesAtStart(event) || MustPass(event)) return 0;
  Refuse(event, arguments);
  return -1;
}

std::vector<std::string> ImportPaths() {
  std::vector<std::string> paths;
  PyObject* list = PySys_GetObject("path");
  const Py_ssize_t count = list != nullptr && PyList_Check(list) != 0 ? PyList_GET_SIZE(list) : 0;
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* entry = PyList_GET_ITEM(list, i);
    const char* text = PyUnicode_Check(entry) != 0 ? PyUnicode_AsUTF8(entry) : nullptr;
    if (text != nullptr) paths.emplace_back(text);
  }
  PyErr_Clear();
  return paths;
}

}  // namespace

base::Result<void> Install(const Options& options) {
  base::Result<void> set = SetPolicy(options);
  if (!set.ok()) return set;
  ResolveSymbols();
  if (!ShadowForkExec() || !GuardModules() || (options.children && !GuardWaits()) ||
      PySys_AddAuditHook(Hook, nullptr) != 0) {
    return base::Error{"ERR_COLOOP_START",
                       "the sandbox could not replace Python's built-in modules"};
  }
  return {};
}

StartScope::~StartScope() { starting = false; }
void StartScope::Begin(const interp::Gil&) { starting = true; }

base::Result<void> CheckInstalled(const Options& options) { return CheckSame(options); }

void Arm(const interp::Gil&) { ArmGuards(); }

void Seal(const interp::Gil&) {
  static std::atomic<bool> sealed{false};
  if (!sealed.exchange(true)) SetLibraryPaths(ImportPaths());
  SealPolicy();
}

}  // namespace coloop::sandbox
