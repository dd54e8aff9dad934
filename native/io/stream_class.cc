#include "io/stream_class.h"

#include <Python.h>

#include <cstddef>
#include <vector>

#include "base/check.h"
#include "interp/gil.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"

namespace coloop::io {

using interp::Gil;
using interp::Owned;

namespace {

interp::PerInterpreter<StreamClasses> classes;

// It changes with each change of the class or of one above it. 0: it has none yet.
unsigned VersionOf(PyObject* object) {
  const auto* type = reinterpret_cast<PyTypeObject*>(object);
#if PY_VERSION_HEX < 0x030E0000
  if ((type->tp_flags & Py_TPFLAGS_VALID_VERSION_TAG) == 0) return 0;
#endif
  return type->tp_version_tag;
}

// A subclass without fields of its own, which alone an object can be turned into.
PyObject* MakeSubclass(const char* name, PyObject* base) {
  return PyObject_CallFunction(reinterpret_cast<PyObject*>(&PyType_Type), "s(O){s():ss}", name,
                               base, "__slots__", "__module__", "_coloop");
}

}  // namespace

bool StreamClass::Make(const Gil&, PyObject* module, const char* name, PyMethodDef* methods,
                       std::size_t count) {
  COLOOP_CHECK(count <= kMost);
  globals_ = Owned::NewRef(PyModule_GetDict(module)).release();
  plain_ = PyObject_GetAttrString(module, name);
  native_ = plain_ != nullptr ? MakeSubclass(name, plain_) : nullptr;
  if (native_ == nullptr) return false;
  for (count_ = 0; count_ < count; ++count_) {
    Replaced& replaced = replaced_[count_];
    replaced.name = PyUnicode_InternFromString(methods[count_].ml_name);
    if (replaced.name == nullptr) return false;
    replaced.function = PyObject_GetAttr(plain_, replaced.name);
    replaced.method = PyDescr_NewMethod(reinterpret_cast<PyTypeObject*>(native_), &methods[count_]);
    if (replaced.function == nullptr || replaced.method == nullptr ||
        PyObject_SetAttr(native_, replaced.name, replaced.method) != 0) {
      return false;
    }
  }
  return true;
}

bool StreamClass::IsPlainWhole() const {
  for (std::size_t i = 0; i < count_; ++i) {
    const Owned now(PyObject_GetAttr(plain_, replaced_[i].name));
    if (!now) PyErr_Clear();
    if (now.get() != replaced_[i].function || PyFunction_Check(now.get()) == 0 ||
        PyFunction_GetGlobals(now.get()) != globals_) {
      return false;
    }
  }
  return true;
}

bool StreamClass::Check() const {
  for (std::size_t i = 0; i < count_; ++i) {
    const Owned now(PyObject_GetAttr(native_, replaced_[i].name));
    if (!now) PyErr_Clear();
    if (now.get() != replaced_[i].method) return false;
  }
  return IsPlainWhole();
}

bool StreamClass::IsWhole() {
  const unsigned version = VersionOf(native_);
  if (version != 0 && version == checked_) return true;
  const bool whole = Check();
  checked_ = whole ? VersionOf(native_) : 0;
  return whole;
}

bool StreamClass::Restore() {
  if (!removed_ || !IsPlainWhole()) return true;
  removed_ = false;
  for (std::size_t i = 0; i < count_; ++i) {
    const Owned now(PyObject_GetAttr(native_, replaced_[i].name));
    if (!now) return false;
    if (now.get() == replaced_[i].function &&
        PyObject_SetAttr(native_, replaced_[i].name, replaced_[i].method) != 0) {
      return false;
    }
  }
  return true;
}

// What somebody has put in the place of a method of ours stays.
bool StreamClass::Remove() {
  removed_ = true;
  for (std::size_t i = 0; i < count_; ++i) {
    const Owned now(PyObject_GetAttr(native_, replaced_[i].name));
    if (!now) return false;
    if (now.get() == replaced_[i].method &&
        PyObject_SetAttr(native_, replaced_[i].name, nullptr) != 0) {
      return false;
    }
  }
  return true;
}

bool StreamClass::Is(PyObject* object, const PyObject* type) {
  return reinterpret_cast<PyObject*>(Py_TYPE(object)) == type;
}

bool StreamClass::Adopt(PyObject* object) const {
  return PyObject_SetAttrString(object, "__class__", native_) == 0;
}

PyObject* StreamClass::CallPlain(std::size_t method, PyObject* self, PyObject* const* args,
                                 std::ptrdiff_t count, PyObject* keywords) const {
  const Py_ssize_t named = keywords != nullptr ? PyTuple_GET_SIZE(keywords) : 0;
  std::vector<PyObject*> all{self};
  if (args != nullptr) all.insert(all.end(), args, args + count + named);
  return PyObject_Vectorcall(replaced_[method].function, all.data(),
                             static_cast<std::size_t>(count) + 1, keywords);
}

PyObject* StreamClass::CallPatched(std::size_t method, PyObject* self, PyObject* const* args,
                                   std::ptrdiff_t count, PyObject* keywords) {
  if (removed_) return CallPlain(method, self, args, count, keywords);
  if (!Remove()) return nullptr;
  const Owned function(PyObject_GetAttr(self, replaced_[method].name));
  if (!function) return nullptr;
  return PyObject_Vectorcall(function.get(), args, static_cast<std::size_t>(count), keywords);
}

StreamClasses& Classes() { return *classes; }

}  // namespace coloop::io
