// Building Python objects from the calls of a source.
#include "convert/python_sink.h"

#include <cstdint>
#include <string>
#include <utility>

#include "convert/sink.h"
#include "interp/gil.h"
#include "interp/js_ref.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"

#define PY_SSIZE_T_CLEAN  // sizes of "#" in formats are Py_ssize_t
#include <Python.h>

#include <cmath>
#include <cstring>

#include "base/array.h"
#include "base/check.h"

namespace coloop::convert {

using interp::Owned;

namespace {

constexpr double kDayMilliseconds = 86'400'000;

struct SinkState {
  PyObject* epoch = nullptr;  // of type datetime.datetime, in UTC
  PyObject* timedelta = nullptr;
};
interp::PerInterpreter<SinkState> state;

bool HasSurrogates(const char16_t* text, std::size_t length) {
  for (std::size_t i = 0; i < length; ++i) {
    if ((text[i] & 0xF800) == 0xD800) return true;
  }
  return false;
}

// Pairs become one code point, lone surrogates stay.
PyObject* FromUtf16WithSurrogates(const char16_t* text, std::size_t length) {
  const auto points = base::TryNewArray<Py_UCS4>(length);
  if (!points) return PyErr_NoMemory();
  Py_ssize_t count = 0;
  for (std::size_t i = 0; i < length; ++i) {
    const char16_t unit = text[i];
    const bool pair =
        (unit & 0xFC00) == 0xD800 && i + 1 < length && (text[i + 1] & 0xFC00) == 0xDC00;
    if (pair) {
      points[count++] = 0x10000 + ((unit & 0x3FFu) << 10) + (text[i + 1] & 0x3FFu);
      ++i;
    } else {
      points[count++] = unit;
    }
  }
  return PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, points.get(), count);
}

PyObject* FromNumber(double value) {
  const bool integral = std::trunc(value) == value &&
                        std::fabs(value) <= static_cast<double>(kMaxSafeInteger) &&
                        !(value == 0 && std::signbit(value));
  return integral ? PyLong_FromLongLong(static_cast<long long>(value)) : PyFloat_FromDouble(value);
}

}  // namespace

// By names: in an interpreter of its own, datetime may be the pure Python one.
bool InitPythonSink(const interp::Gil&) {
  const Owned module(PyImport_ImportModule("datetime"));
  const Owned datetime(module ? PyObject_GetAttrString(module.get(), "datetime") : nullptr);
  const Owned timezone(module ? PyObject_GetAttrString(module.get(), "timezone") : nullptr);
  const Owned utc(timezone ? PyObject_GetAttrString(timezone.get(), "utc") : nullptr);
  if (!datetime || !utc) return false;
  state->epoch =
      PyObject_CallFunction(datetime.get(), "iiiiiiiO", 1970, 1, 1, 0, 0, 0, 0, utc.get());
  state->timedelta = PyObject_GetAttrString(module.get(), "timedelta");
  return state->epoch != nullptr && state->timedelta != nullptr;
}

Owned PythonSink::Take() {
  COLOOP_CHECK(frames_.empty() || PyErr_Occurred() != nullptr);
  return std::move(value_);
}

bool PythonSink::Put(PyObject* stolen) {
  if (stolen == nullptr) return false;
  Owned value(stolen);
  if (frames_.empty()) {
    value_ = std::move(value);
    return true;
  }
  Frame& frame = frames_.back();
  switch (frame.kind) {
    case Kind::kList:
      PyList_SET_ITEM(frame.container.get(), static_cast<Py_ssize_t>(frame.filled++),
                      value.release());
      return true;
    case Kind::kSet:
      return PySet_Add(frame.container.get(), value.get()) == 0;
    case Kind::kDict:
      if (!frame.key) {
        frame.key = std::move(value);
        return true;
      }
      const Owned key = std::move(frame.key);
      return PyDict_SetItem(frame.container.get(), key.get(), value.get()) == 0;
  }
  COLOOP_UNREACHABLE();
}

bool PythonSink::Begin(PyObject* stolen, Kind kind) {
  if (stolen == nullptr) return false;
  containers_.push_back(Owned::NewRef(stolen));
  frames_.push_back(Frame{Owned(stolen), kind, 0, Owned()});
  return true;
}

bool PythonSink::End() {
  COLOOP_CHECK(!frames_.empty());
  Owned container = std::move(frames_.back().container);
  frames_.pop_back();
  return Put(container.release());
}

bool PythonSink::Null() { return Put(Owned::NewRef(Py_None).release()); }
bool PythonSink::Bool(bool value) { return Put(PyBool_FromLong(value ? 1 : 0)); }
bool PythonSink::Int(std::int64_t value) { return Put(PyLong_FromLongLong(value)); }
bool PythonSink::Double(double value) { return Put(PyFloat_FromDouble(value)); }

bool PythonSink::BigInt(bool negative, const std::uint64_t* words, std::size_t count) {
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
  if (count == 0) return Int(0);  // "y#" makes None of the null pointer that 0n has for its words
  Owned magnitude(PyObject_CallMethod(reinterpret_cast<PyObject*>(&PyLong_Type), "from_bytes",
                                      "y#s", reinterpret_cast<const char*>(words),
                                      static_cast<Py_ssize_t>(count * sizeof(*words)), "little"));
  if (!magnitude) return false;
  return Put(negative ? PyNumber_Negative(magnitude.get()) : magnitude.release());
}

bool PythonSink::Latin1(const char* text, std::size_t length) {
  return Put(
      PyUnicode_FromKindAndData(PyUnicode_1BYTE_KIND, text, static_cast<Py_ssize_t>(length)));
}

bool PythonSink::Utf16(const char16_t* text, std::size_t length) {
  if (HasSurrogates(text, length)) return Put(FromUtf16WithSurrogates(text, length));
  return Put(
      PyUnicode_FromKindAndData(PyUnicode_2BYTE_KIND, text, static_cast<Py_ssize_t>(length)));
}

// In integers: the seconds as a double would be off by microseconds far from the epoch.
bool PythonSink::Date(double milliseconds) {
  const double days = std::floor(milliseconds / kDayMilliseconds);
  const auto rest = static_cast<int>(milliseconds - days * kDayMilliseconds);
  const Owned delta(PyObject_CallFunction(state->timedelta, "iii", static_cast<int>(days),
                                          rest / 1000, rest % 1000 * 1000));
  if (!delta) return false;
  return Put(PyNumber_Add(state->epoch, delta.get()));
}

bool PythonSink::Bytes(const void* data, std::size_t length) {
  return Put(
      PyBytes_FromStringAndSize(static_cast<const char*>(data), static_cast<Py_ssize_t>(length)));
}

bool PythonSink::Numbers(const double* values, std::size_t count) {
  Owned list(PyList_New(static_cast<Py_ssize_t>(count)));
  if (!list) return false;
  for (std::size_t i = 0; i < count; ++i) {
    PyObject* number = FromNumber(values[i]);
    if (number == nullptr) return false;
    PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(i), number);
  }
  containers_.push_back(Owned::NewRef(list.get()));
  return Put(list.release());
}

bool PythonSink::BeginList(std::size_t count) {
  return Begin(PyList_New(static_cast<Py_ssize_t>(count)), Kind::kList);
}
bool PythonSink::BeginObject(std::size_t) { return Begin(PyDict_New(), Kind::kDict); }
bool PythonSink::BeginMap(std::size_t) { return Begin(PyDict_New(), Kind::kDict); }
bool PythonSink::BeginSet(std::size_t) { return Begin(PySet_New(nullptr), Kind::kSet); }

bool PythonSink::Back(std::size_t index) {
  COLOOP_CHECK(index < containers_.size());
  return Put(Owned::NewRef(containers_[index].get()).release());
}

bool PythonSink::Buffer(std::uint32_t id, void* data, std::size_t length, const std::string& format,
                        std::size_t item_size) {
  Owned owner = interp::MakeJsRef(gil_, link_, id, static_cast<std::size_t>(HostKind::kObject));
  if (!owner) return false;
  return Put(interp::MakeJsBuffer(gil_, std::move(owner), data, length, format.c_str(), item_size)
                 .release());
}

bool PythonSink::Host(std::uint32_t id, HostKind kind) {
  Owned ref = interp::MakeJsRef(gil_, link_, id, static_cast<std::size_t>(kind));
  if (ref && kind == HostKind::kError) ref = interp::MakeJsError(gil_, ref.get());
  return Put(ref.release());
}

bool PythonSink::PythonProxy(PyObject* object) { return Put(Owned::NewRef(object).release()); }
bool PythonSink::PythonAwaitable(PyObject* object) { return PythonProxy(object); }
bool PythonSink::PythonException(PyObject* object) { return PythonProxy(object); }

}  // namespace coloop::convert
