// What `_erlang_impl/_sandbox.py` reads and calls in `_coloop`.
#include <Python.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "interp/gil.h"
#include "interp/ref.h"
#include "sandbox/audit_hook.h"
#include "sandbox/children.h"
#include "sandbox/events.h"
#include "sandbox/guards.h"
#include "sandbox/policy.h"

namespace coloop::sandbox {

namespace {

using interp::Owned;

PyObject* IsActive(PyObject*, PyObject*) { return PyBool_FromLong(GuardsArmed() ? 1 : 0); }

Owned Text(std::string_view text) {
  return Owned(PyUnicode_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size())));
}

Owned TextOf(bool denied) { return Text(denied ? "deny" : "allow"); }

PyObject* ListEvents(PyObject*, PyObject*) {
  Owned list(PyList_New(0));
  if (!list) return nullptr;
  for (std::size_t i = 0; i < kEvents.size(); ++i) {
    const Event& event = kEvents[i];
    const Owned name = Text(event.name);
    const Owned group = Text(kGroupNames[static_cast<std::size_t>(event.group)]);
    const Owned standard = TextOf(event.standard == Verdict::kDeny);
    const Owned verdict = TextOf(Denied(static_cast<EventId>(i)));
    const Owned reason = Text(event.reason);
    if (!name || !group || !standard || !verdict || !reason) return nullptr;
    const Owned row(
        PyTuple_Pack(5, name.get(), group.get(), standard.get(), verdict.get(), reason.get()));
    if (!row || PyList_Append(list.get(), row.get()) != 0) return nullptr;
  }
  return list.release();
}

bool ReadTexts(PyObject* argument, std::vector<std::string>& names) {
  const Owned sequence(PySequence_Fast(argument, "the names must be a sequence of str"));
  if (!sequence) return false;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence.get()); ++i) {
    Py_ssize_t length = 0;
    const char* text =
        PyUnicode_AsUTF8AndSize(PySequence_Fast_GET_ITEM(sequence.get(), i), &length);
    if (text == nullptr) return false;
    names.emplace_back(text, static_cast<std::size_t>(length));
  }
  return true;
}

PyObject* TightenFromPython(PyObject*, PyObject* arguments) {
  PyObject* deny = nullptr;
  PyObject* rules = nullptr;
  int strict = 0;
  Options options;
  if (PyArg_ParseTuple(arguments, "OOp", &deny, &rules, &strict) == 0 ||
      !ReadTexts(deny, options.deny) || !ReadTexts(rules, options.rules)) {
    return nullptr;
  }
  options.strict = strict != 0;
  const base::Result<void> done = TightenPolicy(options);
  if (done.ok()) Py_RETURN_NONE;
  PyErr_SetString(PyExc_ValueError, done.error().message.c_str());
  return nullptr;
}

PyMethodDef functions[] = {
    {"_sandbox_active", IsActive, METH_NOARGS, "Whether refusals are in force."},
    {"_sandbox_events", ListEvents, METH_NOARGS,
     "(event, group, default verdict, verdict, reason) for each event that can be refused."},
    {"_sandbox_tighten", TightenFromPython, METH_VARARGS,
     "(names, rules, strict): denies events and groups, adds rules, for good."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

bool AddToModule(const interp::Gil& gil, PyObject* module) {
  return PyModule_AddFunctions(module, functions) == 0 && AddChildrenToModule(gil, module);
}

}  // namespace coloop::sandbox
