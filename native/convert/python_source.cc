// Walking Python values: exact kinds are copied, everything else crosses by reference.
#include "convert/python_source.h"

#include <Python.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/array.h"
#include "convert/sink.h"
#include "interp/gil.h"
#include "interp/js_ref.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"

namespace coloop::convert {

using interp::Owned;

namespace {

struct SourceState {
  PyObject* datetime = nullptr;         // datetime.datetime
  PyObject* future_blocking = nullptr;  // a name
};
interp::PerInterpreter<SourceState> state;

bool IsDateTime(PyObject* object) {
  return PyObject_TypeCheck(object, reinterpret_cast<PyTypeObject*>(state->datetime)) != 0;
}

class PythonSource {
 public:
  PythonSource(const interp::Gil& gil, Sink& sink, const interp::HostLink& link)
      : gil_(gil), sink_(sink), link_(link) {}

  bool Read(PyObject* object);
  bool ReadReference(PyObject* object);
  void Explain(Refusal* refusal) const;

 private:
  static constexpr Py_ssize_t kBulkNumbers = 16;

  bool ReadInt(PyObject* object);
  bool ReadBigInt(PyObject* object);
  bool ReadString(PyObject* object);
  bool ReadSequence(PyObject* object);
  bool ReadDict(PyObject* object);
  bool ReadSet(PyObject* object);
  bool ReadDate(PyObject* object);
  bool ReadBytes(PyObject* object);
  bool ReadNumbers(PyObject* const* items, Py_ssize_t count, bool* done);
  bool SeenBefore(PyObject* object, bool* result);
  bool Enter();
  bool Fail(PyObject* type, const std::string& message);
  bool FailAt(PyObject* key, Py_ssize_t index);
  static bool NoMemory();

  const interp::Gil& gil_;
  Sink& sink_;
  const interp::HostLink& link_;
  std::unordered_map<PyObject*, std::size_t> seen_;
  // A container is kept until the conversion ends: its address is its identity in `seen_`.
  std::vector<Owned> kept_;
  int depth_ = 0;
  std::vector<std::string> path_;  // of a failure, innermost first
};

bool PythonSource::Fail(PyObject* type, const std::string& message) {
  if (PyErr_Occurred() == nullptr) PyErr_SetString(type, message.c_str());
  return false;
}

bool PythonSource::FailAt(PyObject* key, Py_ssize_t index) {
  if (PyErr_Occurred() != nullptr) return false;  // which is told as it is
  const char* name = key != nullptr && PyUnicode_Check(key) ? PyUnicode_AsUTF8(key) : nullptr;
  if (name == nullptr) PyErr_Clear();
  path_.push_back(name != nullptr ? std::string(".") + name : "[" + std::to_string(index) + "]");
  return false;
}

void PythonSource::Explain(Refusal* refusal) const {
  refusal->reason.clear();
  refusal->path.clear();
  auto end = path_.rend();
  if (depth_ > kMaxDepth) {
    refusal->reason = "nested deeper than " + std::to_string(kMaxDepth) +
                      " levels; pass it as a proxy with coloop.ref()";
    end = path_.empty() ? end : path_.rbegin() + 1;  // the others say nothing
  }
  for (auto step = path_.rbegin(); step != end; ++step) refusal->path += *step;
}

bool PythonSource::NoMemory() {
  PyErr_NoMemory();
  return false;
}

bool PythonSource::Enter() { return ++depth_ <= kMaxDepth; }

bool PythonSource::SeenBefore(PyObject* object, bool* result) {
  const auto [entry, is_new] = seen_.try_emplace(object, seen_.size());
  if (is_new) {
    kept_.push_back(Owned::NewRef(object));
    return false;
  }
  *result = sink_.Back(entry->second);
  return true;
}

bool PythonSource::ReadInt(PyObject* object) {
  int overflow = 0;
  const long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
  if (overflow == 0 && value >= -kMaxSafeInteger && value <= kMaxSafeInteger) {
    return sink_.Int(value);
  }
  return ReadBigInt(object);
}

bool PythonSource::ReadBigInt(PyObject* object) {
  // The plain int inside a subclass, so that an overridden method has no say.
  const Owned magnitude(PyLong_Type.tp_as_number->nb_absolute(object));
  if (!magnitude) return false;
  const Owned bits(PyObject_CallMethod(magnitude.get(), "bit_length", nullptr));
  if (!bits) return false;
  const std::size_t count = (PyLong_AsSize_t(bits.get()) + 63) / 64;
  const Owned bytes(PyObject_CallMethod(magnitude.get(), "to_bytes", "ns",
                                        static_cast<Py_ssize_t>(count * 8), "little"));
  if (!bytes) return false;
  const auto words = base::TryNewArray<std::uint64_t>(count);
  if (!words) return NoMemory();
  std::memcpy(words.get(), PyBytes_AS_STRING(bytes.get()), count * 8);
  const Owned zero(PyLong_FromLong(0));
  const Owned negative(PyLong_Type.tp_richcompare(object, zero.get(), Py_LT));
  return negative && sink_.BigInt(negative.get() == Py_True, words.get(), count);
}

bool PythonSource::ReadString(PyObject* object) {
#if PY_VERSION_HEX < 0x030C0000
  if (PyUnicode_READY(object) != 0) return false;
#endif
  const auto length = static_cast<std::size_t>(PyUnicode_GET_LENGTH(object));
  switch (PyUnicode_KIND(object)) {
    case PyUnicode_1BYTE_KIND:
      return sink_.Latin1(reinterpret_cast<const char*>(PyUnicode_1BYTE_DATA(object)), length);
    case PyUnicode_2BYTE_KIND:
      return sink_.Utf16(reinterpret_cast<const char16_t*>(PyUnicode_2BYTE_DATA(object)), length);
    default:
      break;
  }
  const auto units = base::TryNewArray<char16_t>(2 * length);
  if (!units) return NoMemory();
  std::size_t count = 0;
  const Py_UCS4* points = PyUnicode_4BYTE_DATA(object);
  for (std::size_t i = 0; i < length; ++i) {
    const Py_UCS4 point = points[i];
    if (point < 0x10000) {
      units[count++] = static_cast<char16_t>(point);
    } else {
      units[count++] = static_cast<char16_t>(0xD800 + ((point - 0x10000) >> 10));
      units[count++] = static_cast<char16_t>(0xDC00 + ((point - 0x10000) & 0x3FF));
    }
  }
  return sink_.Utf16(units.get(), count);
}

// Lists of plain numbers cross in one call; `done` says whether this was one.
bool PythonSource::ReadNumbers(PyObject* const* items, Py_ssize_t count, bool* done) {
  const auto values = base::TryNewArray<double>(static_cast<std::size_t>(count));
  if (!values) {
    *done = true;
    return NoMemory();
  }
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* item = items[i];
    if (PyFloat_CheckExact(item)) {
      values[i] = PyFloat_AS_DOUBLE(item);
      continue;
    }
    if (!PyLong_CheckExact(item)) return true;
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(item, &overflow);
    if (overflow != 0 || value < -kMaxSafeInteger || value > kMaxSafeInteger) return true;
    values[i] = static_cast<double>(value);
  }
  *done = true;
  return sink_.Numbers(values.get(), static_cast<std::size_t>(count));
}

bool PythonSource::ReadSequence(PyObject* object) {
  bool result = false;
  if (SeenBefore(object, &result)) return result;
  const Py_ssize_t count = PySequence_Fast_GET_SIZE(object);
  if (count >= kBulkNumbers) {
    bool done = false;
    const bool ok = ReadNumbers(PySequence_Fast_ITEMS(object), count, &done);
    if (done) return ok;
  }
  if (!Enter() || !sink_.BeginList(static_cast<std::size_t>(count))) return false;
  for (Py_ssize_t i = 0; i < count; ++i) {
    if (PySequence_Fast_GET_SIZE(object) != count) {
      return Fail(PyExc_RuntimeError, "list changed size during conversion");
    }
    const Owned item = Owned::NewRef(PySequence_Fast_GET_ITEM(object, i));
    if (!Read(item.get())) return FailAt(nullptr, i);
  }
  --depth_;
  return sink_.End();
}

bool PythonSource::ReadDict(PyObject* object) {
  bool result = false;
  if (SeenBefore(object, &result)) return result;
  const Py_ssize_t count = PyDict_GET_SIZE(object);
  Py_ssize_t position = 0;
  PyObject* key = nullptr;
  PyObject* value = nullptr;
  bool strings = true;
  while (strings && PyDict_Next(object, &position, &key, &value) != 0) {
    strings = PyUnicode_Check(key);
  }
  const auto size = static_cast<std::size_t>(count);
  if (!Enter() || !(strings ? sink_.BeginObject(size) : sink_.BeginMap(size))) return false;
  position = 0;
  Py_ssize_t index = 0;
  while (PyDict_Next(object, &position, &key, &value) != 0) {
    const Owned held_key = Owned::NewRef(key);
    const Owned held_value = Owned::NewRef(value);
    if (!Read(held_key.get()) || !Read(held_value.get())) return FailAt(held_key.get(), index);
    ++index;
    if (PyDict_GET_SIZE(object) != count) {
      return Fail(PyExc_RuntimeError, "dictionary changed size during conversion");
    }
  }
  --depth_;
  return sink_.End();
}

bool PythonSource::ReadSet(PyObject* object) {
  bool result = false;
  if (SeenBefore(object, &result)) return result;
  // A list of the members: iterating a set is not safe against a change in between.
  const Owned members(PySequence_List(object));
  if (!members) return false;
  const Py_ssize_t count = PyList_GET_SIZE(members.get());
  if (!Enter() || !sink_.BeginSet(static_cast<std::size_t>(count))) return false;
  for (Py_ssize_t i = 0; i < count; ++i) {
    if (!Read(PyList_GET_ITEM(members.get(), i))) return FailAt(nullptr, i);
  }
  --depth_;
  return sink_.End();
}

bool PythonSource::ReadDate(PyObject* object) {
  const Owned timestamp(PyObject_CallMethod(object, "timestamp", nullptr));
  const double seconds = timestamp ? PyFloat_AsDouble(timestamp.get()) : -1;
  if (PyErr_Occurred() != nullptr) return false;
  return sink_.Date(std::round(seconds * 1000));
}

bool PythonSource::ReadBytes(PyObject* object) {
  if (PyBytes_Check(object)) {
    return sink_.Bytes(PyBytes_AS_STRING(object),
                       static_cast<std::size_t>(PyBytes_GET_SIZE(object)));
  }
  return sink_.Bytes(PyByteArray_AS_STRING(object),
                     static_cast<std::size_t>(PyByteArray_GET_SIZE(object)));
}

bool PythonSource::Read(PyObject* object) {
  if (object == Py_None) return sink_.Null();
  if (PyLong_Check(object)) {
    if (PyBool_Check(object)) return sink_.Bool(object == Py_True);
    return ReadInt(object);
  }
  if (PyFloat_Check(object)) return sink_.Double(PyFloat_AS_DOUBLE(object));
  if (PyUnicode_Check(object)) return ReadString(object);
  if (PyList_Check(object) || PyTuple_Check(object)) return ReadSequence(object);
  if (PyDict_Check(object)) return ReadDict(object);
  if (PyAnySet_Check(object)) return ReadSet(object);
  if (PyBytes_Check(object) || PyByteArray_Check(object)) return ReadBytes(object);
  return ReadReference(object);
}

bool PythonSource::ReadReference(PyObject* object) {
  std::uint32_t id = 0;
  if (interp::IsJsRefOf(object, link_, &id)) return sink_.Host(id, HostKind::kObject);
  PyObject* inner = interp::UnwrapOpaque(object);
  if (inner != nullptr) return sink_.PythonProxy(inner);
  if (IsDateTime(object)) return ReadDate(object);
  if (PyExceptionInstance_Check(object)) return sink_.PythonException(object);
  if (IsAwaitable(gil_, object)) return sink_.PythonAwaitable(object);
  return sink_.PythonProxy(object);
}

}  // namespace

bool InitPythonSource(const interp::Gil&) {
  const Owned module(PyImport_ImportModule("datetime"));
  state->datetime = module ? PyObject_GetAttrString(module.get(), "datetime") : nullptr;
  state->future_blocking = PyUnicode_InternFromString("_asyncio_future_blocking");
  return state->datetime != nullptr && state->future_blocking != nullptr;
}

bool IsAwaitable(const interp::Gil&, PyObject* object) {
  if (PyCoro_CheckExact(object)) return true;
  // asyncio.isfuture: the class has the attribute and it is not None.
  PyObject* name = state->future_blocking;
  if (PyType_Check(object) || _PyType_Lookup(Py_TYPE(object), name) == nullptr) return false;
  const Owned blocking(PyObject_GetAttr(object, name));
  if (!blocking) PyErr_Clear();
  return blocking && blocking.get() != Py_None;
}

bool ReadPython(const interp::Gil& gil, PyObject* object, Sink& sink, const interp::HostLink& link,
                Refusal* refusal) {
  PythonSource source(gil, sink, link);
  if (source.Read(object)) return true;
  source.Explain(refusal);
  return false;
}

bool ReadPythonByReference(const interp::Gil& gil, PyObject* object, Sink& sink,
                           const interp::HostLink& link) {
  std::uint32_t id = 0;
  if (interp::IsJsRefOf(object, link, &id)) return sink.Host(id, HostKind::kObject);
  if (PyLong_Check(object) || PyFloat_Check(object) || PyUnicode_Check(object) ||
      object == Py_None) {
    return PythonSource(gil, sink, link).Read(object);
  }
  return sink.PythonProxy(object);
}

}  // namespace coloop::convert
