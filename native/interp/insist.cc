// A trace function, which hits also what a loop of interrupts would not: Python looks for those at
// few places, and they may all be where the code catches.
#include "interp/insist.h"

#include <Python.h>
#include <frameobject.h>

#include <string>
#include <string_view>

#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::interp {

namespace {

struct Insistence {
  bool on = false;
  bool changing = false;
  bool (*meant)(const Gil& gil) = nullptr;
  // The code's own trace function.
  Py_tracefunc function_before = nullptr;
  PyObject* object_before = nullptr;
};
thread_local Insistence here;

// The folder of the standard library, with the slash.
std::string& LibraryFolder() {
  static auto* folder = new std::string;
  return *folder;
}

bool IsLibraryFile(std::string_view file) {
  if (file.starts_with("<frozen ") || file.find("/_erlang_impl/") != file.npos) return true;
  const std::string& folder = LibraryFolder();
  if (folder.empty() || !file.starts_with(folder)) return false;
  file.remove_prefix(folder.size());
  return !file.starts_with("site-packages/") && !file.starts_with("dist-packages/");
}

bool IsInLibrary(PyFrameObject* frame) {
  PyCodeObject* code = PyFrame_GetCode(frame);
  const char* file = PyUnicode_AsUTF8(code->co_filename);
  if (file == nullptr) PyErr_Clear();
  const bool is_library = file != nullptr && IsLibraryFile(file);
  Py_DECREF(code);
  return is_library;
}

bool IsOutermost(PyFrameObject* frame) {
  PyFrameObject* back = PyFrame_GetBack(frame);
  Py_XDECREF(back);
  return back == nullptr;
}

// Also with an exception set.
void SetTrace(Py_tracefunc function, PyObject* object) {
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  here.changing = true;
  PyEval_SetTrace(function, object);
  here.changing = false;
  PyErr_Restore(type, value, traceback);
}

int OnEvent(PyObject*, PyFrameObject* frame, int what, PyObject*) {
  const Gil gil = Gil::FromPython();
  if (what == PyTrace_RETURN && IsOutermost(frame)) StopInsisting(gil);
  if (what != PyTrace_LINE || IsInLibrary(frame) || !here.meant(gil)) return 0;
  PyErr_SetNone(PyExc_KeyboardInterrupt);
  return -1;
}

}  // namespace

void PrepareInsisting(const Gil&) {
  const Owned module(PyImport_ImportModule("encodings"));
  const Owned file(module ? PyObject_GetAttrString(module.get(), "__file__") : nullptr);
  const char* text =
      file && PyUnicode_Check(file.get()) != 0 ? PyUnicode_AsUTF8(file.get()) : nullptr;
  PyErr_Clear();
  std::string_view folder(text != nullptr ? text : "");
  const auto end = folder.rfind("encodings/");
  if (end != folder.npos) LibraryFolder() = folder.substr(0, end);
}

void Insist(const Gil&, bool (*meant)(const Gil& gil)) {
  here.meant = meant;
  PyThreadState* state = PyThreadState_Get();
  if (here.on && state->c_tracefunc == OnEvent) return;
  if (!here.on) {
    here.function_before = state->c_tracefunc;
    here.object_before = Py_XNewRef(state->c_traceobj);
  }
  here.on = true;
  SetTrace(OnEvent, nullptr);
}

void StopInsisting(const Gil&) {
  if (!here.on) return;
  here.on = false;
  SetTrace(here.function_before, here.object_before);
  Py_CLEAR(here.object_before);
}

bool IsInsistenceChanging() { return here.changing; }

}  // namespace coloop::interp
