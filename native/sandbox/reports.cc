#include "sandbox/reports.h"

#include <Python.h>
#include <frameobject.h>

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "interp/ref.h"
#include "sandbox/events.h"

namespace coloop::sandbox {

namespace {

using interp::Owned;

constexpr std::size_t kMaxWaiting = 1000;  // reports that nobody has taken yet
constexpr std::size_t kMaxText = 200;      // bytes of an argument
constexpr Py_ssize_t kMaxItems = 8;
constexpr int kMaxFrames = 64;

std::mutex mutex;
std::vector<Report> waiting;  // guarded by mutex
int lost = 0;                 // guarded by mutex
std::atomic<void (*)()> listener{nullptr};
thread_local bool describing = false;

std::string Utf8(PyObject* text) {
  const Owned bytes(PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace"));
  if (!bytes) {
    PyErr_Clear();
    return "?";
  }
  return {PyBytes_AS_STRING(bytes.get()), static_cast<std::size_t>(PyBytes_GET_SIZE(bytes.get()))};
}

std::string Shortened(std::string text) {
  if (text.size() <= kMaxText) return text;
  std::size_t end = kMaxText;
  while ((static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;  // whole characters
  return text.substr(0, end) + "...";
}

// As repr() would show it, but only for types whose repr() is C and ends soon: an object's own
// might do anything, be audited again or take for ever.
std::string Describe(PyObject* value, int depth = 0) {
  const bool text = PyUnicode_CheckExact(value) != 0 && PyUnicode_GET_LENGTH(value) < 4096;
  const bool bytes = PyBytes_CheckExact(value) != 0 && PyBytes_GET_SIZE(value) < 4096;
  int overflow = 0;
  const bool number = PyLong_CheckExact(value) != 0 &&
                      (PyLong_AsLongLongAndOverflow(value, &overflow), overflow == 0);
  if (text || bytes || number || value == Py_None || PyBool_Check(value) != 0 ||
      PyFloat_CheckExact(value) != 0) {
    const Owned shown(PyObject_Repr(value));
    if (shown) return Shortened(Utf8(shown.get()));
    PyErr_Clear();
  }
  const bool tuple = PyTuple_CheckExact(value) != 0;
  if ((!tuple && PyList_CheckExact(value) == 0) || depth > 1) {
    return std::string("<") + Py_TYPE(value)->tp_name + ">";
  }
  std::string all;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(value); ++i) {
    if (i > 0) all += ", ";
    if (i == kMaxItems) {
      all += "...";
      break;
    }
    const Owned item = Owned::NewRef(PySequence_Fast_GET_ITEM(value, i));
    all += Describe(item.get(), depth + 1);
  }
  return tuple ? "(" + all + ")" : "[" + all + "]";
}

std::vector<Frame> StackNow() {
  std::vector<Frame> stack;
  PyFrameObject* frame = PyEval_GetFrame();
  Py_XINCREF(frame);
  for (int depth = 0; frame != nullptr && depth < kMaxFrames; ++depth) {
    PyCodeObject* code = PyFrame_GetCode(frame);
    stack.push_back({Utf8(code->co_filename), std::to_string(PyFrame_GetLineNumber(frame)),
                     Utf8(code->co_name)});
    Py_DECREF(code);
    PyFrameObject* back = PyFrame_GetBack(frame);
    Py_DECREF(frame);
    frame = back;
  }
  Py_XDECREF(frame);
  return stack;
}

}  // namespace

void SetReportListener(void (*wake)()) {
  listener.store(wake);
  const std::lock_guard<std::mutex> lock(mutex);
  waiting.clear();
  lost = 0;
}

std::vector<Report> TakeReports() {
  const std::lock_guard<std::mutex> lock(mutex);
  return std::exchange(waiting, {});
}

void ReportEvent(EventId event, Reported verdict, PyObject* arguments) {
  void (*wake)() = listener.load();
  if (wake == nullptr || describing) return;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    if (waiting.size() >= kMaxWaiting) {
      ++lost;
      return;
    }
  }
  describing = true;
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  Report report;
  report.event = event;
  report.verdict = verdict;
  report.thread = PyThread_get_thread_ident();
  for (Py_ssize_t i = 0; arguments != nullptr && i < PyTuple_GET_SIZE(arguments); ++i) {
    report.arguments.push_back(Describe(PyTuple_GET_ITEM(arguments, i)));
  }
  report.stack = StackNow();
  PyErr_Restore(type, value, traceback);
  describing = false;
  bool first = false;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    first = waiting.empty();
    report.lost = std::exchange(lost, 0);
    waiting.push_back(std::move(report));
  }
  if (first) wake();
}

}  // namespace coloop::sandbox
