// The subclasses add no state: an object becomes one by its __class__, and its attributes stay
// asyncio's. Where asyncio's classes are patched, nothing is replaced; read() and feed_data() that
// are patched later are called all the same. A call with other arguments than usual goes to
// asyncio's function, for its result or its error.
#include "io/stream_reader.h"

#include <Python.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "interp/gil.h"
#include "interp/method.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"
#include "io/names.h"
#include "io/stream_read.h"

namespace coloop::io {

using interp::AsMethod;
using interp::Gil;
using interp::Owned;

namespace {

// A function of asyncio's that a method of ours stands for.
struct Replaced {
  PyObject* name = nullptr;
  PyObject* function = nullptr;
};

enum ReaderMethod : std::size_t {
  kRead,
  kWaitForData,
  kFeedData,
  kWakeUp,
  kException,
  kResume,
  kReaderMethods
};
enum ProtocolMethod : std::size_t { kDataReceived, kProtocolMethods };

template <std::size_t Count>
struct Pair {
  PyObject* plain = nullptr;    // asyncio's class
  PyObject* native = nullptr;   // ours over it
  PyObject* globals = nullptr;  // of asyncio.streams
  std::array<Replaced, Count> replaced;
};

struct ReaderState {
  Pair<kReaderMethods> reader;
  Pair<kProtocolMethods> protocol;
};
interp::PerInterpreter<ReaderState> state;

// What asyncio's class has now by a name: its own function, or what somebody has put in its place.
template <std::size_t Count>
Owned PlainMethod(const Pair<Count>& pair, std::size_t method) {
  return Owned(PyObject_GetAttr(pair.plain, pair.replaced[method].name));
}

// That with the same arguments.
PyObject* CallPlain(const Owned& function, PyObject* self, PyObject* const* args, Py_ssize_t count,
                    PyObject* keywords) {
  if (!function) return nullptr;
  const Py_ssize_t named = keywords != nullptr ? PyTuple_GET_SIZE(keywords) : 0;
  std::vector<PyObject*> all{self};
  all.insert(all.end(), args, args + count + named);
  return PyObject_Vectorcall(function.get(), all.data(), static_cast<std::size_t>(count) + 1,
                             keywords);
}

// StreamReader

PyObject* Read(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  const Owned plain = PlainMethod(state->reader, kRead);
  if (count == 1 && keywords == nullptr && PyLong_CheckExact(args[0]) != 0 &&
      plain.get() == state->reader.replaced[kRead].function) {
    int overflow = 0;
    const long limit = PyLong_AsLongAndOverflow(args[0], &overflow);
    if (limit > 0) return NewStreamRead(Gil::FromPython(), self, limit);
  }
  return CallPlain(plain, self, args, count, keywords);
}

PyObject* WaitForData(PyObject* self, PyObject* method) {
  return NewStreamWait(Gil::FromPython(), self, method);
}

// StreamReader._wakeup_waiter()
bool WakeWaiter(PyObject* self) {
  const Owned waiter(PyObject_GetAttr(self, Names().waiter));
  if (!waiter || waiter.get() == Py_None) return static_cast<bool>(waiter);
  if (PyObject_SetAttr(self, Names().waiter, Py_None) != 0) return false;
  const Owned cancelled(PyObject_CallMethodNoArgs(waiter.get(), Names().cancelled));
  const int is_cancelled = cancelled ? PyObject_IsTrue(cancelled.get()) : -1;
  if (is_cancelled != 0) return is_cancelled > 0;
  const Owned set(PyObject_CallMethodOneArg(waiter.get(), Names().set_result, Py_None));
  return static_cast<bool>(set);
}

bool Append(PyObject* buffer, PyObject* data) {
  if (PyByteArray_CheckExact(buffer) == 0 || PyBytes_CheckExact(data) == 0) {
    const Owned done(PyObject_CallMethod(buffer, "extend", "(O)", data));
    return static_cast<bool>(done);
  }
  const Py_ssize_t size = PyByteArray_GET_SIZE(buffer);
  const Py_ssize_t added = PyBytes_GET_SIZE(data);
  if (added > PY_SSIZE_T_MAX - size) {
    PyErr_NoMemory();
    return false;
  }
  if (PyByteArray_Resize(buffer, size + added) != 0) return false;
  std::copy_n(PyBytes_AS_STRING(data), added, PyByteArray_AS_STRING(buffer) + size);
  return true;
}

// len(buffer) > 2 * limit, which may be any number. -1 with an exception set.
int IsMoreThanTwice(PyObject* buffer, PyObject* limit) {
  const Py_ssize_t size = PyObject_Size(buffer);
  if (size < 0) return -1;
  if (PyLong_CheckExact(limit) != 0) {
    int overflow = 0;
    const long bound = PyLong_AsLongAndOverflow(limit, &overflow);
    if (overflow == 0 && bound > 0) return size / 2 >= bound && size - bound > bound ? 1 : 0;
  }
  const Owned twice(PyNumber_Add(limit, limit));
  const Owned length(twice ? PyLong_FromSsize_t(size) : nullptr);
  return length ? PyObject_RichCompareBool(length.get(), twice.get(), Py_GT) : -1;
}

// Pauses the transport while more than twice the limit is there.
bool MaybePause(PyObject* self, PyObject* buffer) {
  const Owned limit(PyObject_GetAttr(self, Names().limit));
  const int is_much = limit ? IsMoreThanTwice(buffer, limit.get()) : -1;
  if (is_much <= 0) return is_much == 0;
  const Owned transport(PyObject_GetAttr(self, Names().transport));
  if (!transport || transport.get() == Py_None) return static_cast<bool>(transport);
  const Owned paused(PyObject_GetAttr(self, Names().paused));
  const int is_paused = paused ? PyObject_IsTrue(paused.get()) : -1;
  if (is_paused != 0) return is_paused > 0;
  const Owned done(PyObject_CallMethodNoArgs(transport.get(), Names().pause_reading));
  if (done) return PyObject_SetAttr(self, Names().paused, Py_True) == 0;
  // A transport that cannot be paused is asked once.
  if (PyErr_ExceptionMatches(PyExc_NotImplementedError) == 0) return false;
  PyErr_Clear();
  return PyObject_SetAttr(self, Names().transport, Py_None) == 0;
}

PyObject* FeedData(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  const Owned plain = PlainMethod(state->reader, kFeedData);
  if (count != 1 || keywords != nullptr || PyBytes_CheckExact(args[0]) == 0 ||
      plain.get() != state->reader.replaced[kFeedData].function) {
    return CallPlain(plain, self, args, count, keywords);
  }
  const Owned eof(PyObject_GetAttr(self, Names().eof));
  const int is_over = eof ? PyObject_IsTrue(eof.get()) : -1;
  if (is_over > 0) PyErr_SetString(PyExc_AssertionError, "feed_data after feed_eof");
  if (is_over != 0) return nullptr;
  if (PyBytes_GET_SIZE(args[0]) == 0) Py_RETURN_NONE;
  const Owned buffer(PyObject_GetAttr(self, Names().buffer));
  if (!buffer || !Append(buffer.get(), args[0]) || !WakeWaiter(self)) return nullptr;
  if (!MaybePause(self, buffer.get())) return nullptr;
  Py_RETURN_NONE;
}

PyObject* WakeUp(PyObject* self, PyObject*) {
  if (!WakeWaiter(self)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* Exception(PyObject* self, PyObject*) {
  return PyObject_GetAttr(self, Names().exception_field);
}

PyObject* MaybeResume(PyObject* self, PyObject*) {
  if (!MaybeResumeTransport(Gil::FromPython(), self)) return nullptr;
  Py_RETURN_NONE;
}

// StreamReaderProtocol

// Null without an exception when it is gone.
Owned ReaderOf(PyObject* self) {
  const Owned reference(PyObject_GetAttr(self, Names().stream_reader_wr));
  if (!reference || PyWeakref_Check(reference.get()) == 0) return Owned();
#if PY_VERSION_HEX >= 0x030D0000
  PyObject* reader = nullptr;
  if (PyWeakref_GetRef(reference.get(), &reader) < 0) return Owned();
  return Owned(reader);
#else
  PyObject* reader = PyWeakref_GetObject(reference.get());
  return reader == Py_None ? Owned() : Owned::NewRef(reader);
#endif
}

PyObject* DataReceived(PyObject* self, PyObject* const* args, Py_ssize_t count,
                       PyObject* keywords) {
  if (count != 1 || keywords != nullptr) {
    return CallPlain(PlainMethod(state->protocol, kDataReceived), self, args, count, keywords);
  }
  const Owned reader = ReaderOf(self);
  if (!reader) return PyErr_Occurred() != nullptr ? nullptr : Owned::NewRef(Py_None).release();
  return PyObject_CallMethodOneArg(reader.get(), Names().feed_data, args[0]);
}

// The classes

PyMethodDef reader_methods[kReaderMethods] = {
    {"read", AsMethod(Read), METH_FASTCALL | METH_KEYWORDS,
     "read($self, n=-1)\n--\n\nasyncio.StreamReader.read"},
    {"_wait_for_data", WaitForData, METH_O, nullptr},
    {"feed_data", AsMethod(FeedData), METH_FASTCALL | METH_KEYWORDS,
     "feed_data($self, data)\n--\n\nasyncio.StreamReader.feed_data"},
    {"_wakeup_waiter", WakeUp, METH_NOARGS, nullptr},
    {"exception", Exception, METH_NOARGS, "exception($self)\n--\n\nasyncio.StreamReader.exception"},
    {"_maybe_resume_transport", MaybeResume, METH_NOARGS, nullptr},
};

PyMethodDef protocol_methods[kProtocolMethods] = {
    {"data_received", AsMethod(DataReceived), METH_FASTCALL | METH_KEYWORDS,
     "data_received($self, data)\n--\n\nasyncio.StreamReaderProtocol.data_received"},
};

// A subclass without fields of its own, which alone an object can be turned into.
PyObject* MakeSubclass(const char* name, PyObject* base) {
  return PyObject_CallFunction(reinterpret_cast<PyObject*>(&PyType_Type), "s(O){s():ss}", name,
                               base, "__slots__", "__module__", "_coloop");
}

template <std::size_t Count>
bool Make(Pair<Count>& pair, PyObject* module, const char* name, PyMethodDef (&methods)[Count]) {
  pair.globals = Owned::NewRef(PyModule_GetDict(module)).release();
  pair.plain = PyObject_GetAttrString(module, name);
  pair.native = pair.plain != nullptr ? MakeSubclass(name, pair.plain) : nullptr;
  if (pair.native == nullptr) return false;
  for (std::size_t i = 0; i < Count; ++i) {
    Replaced& replaced = pair.replaced[i];
    replaced.name = PyUnicode_InternFromString(methods[i].ml_name);
    if (replaced.name == nullptr) return false;
    replaced.function = PyObject_GetAttr(pair.plain, replaced.name);
    const Owned method(
        PyDescr_NewMethod(reinterpret_cast<PyTypeObject*>(pair.native), &methods[i]));
    if (replaced.function == nullptr || !method ||
        PyObject_SetAttr(pair.native, replaced.name, method.get()) != 0) {
      return false;
    }
  }
  return true;
}

// Whether a method of the class is not asyncio's any more, or was not when we came. -1 with an
// exception set.
template <std::size_t Count>
int IsPatched(const Pair<Count>& pair) {
  for (std::size_t i = 0; i < Count; ++i) {
    const Owned now = PlainMethod(pair, i);
    if (!now) return -1;
    if (now.get() != pair.replaced[i].function || PyFunction_Check(now.get()) == 0 ||
        PyFunction_GetGlobals(now.get()) != pair.globals) {
      return 1;
    }
  }
  return 0;
}

bool Is(PyObject* object, PyObject* type) {
  return reinterpret_cast<PyObject*>(Py_TYPE(object)) == type;
}

bool SetClass(PyObject* object, PyObject* type) {
  return PyObject_SetAttrString(object, "__class__", type) == 0;
}

}  // namespace

bool InitStreamReader(const Gil& gil) {
  const Owned streams(PyImport_ImportModule("asyncio.streams"));
  return streams && InitStreamRead(gil) &&
         Make(state->reader, streams.get(), "StreamReader", reader_methods) &&
         Make(state->protocol, streams.get(), "StreamReaderProtocol", protocol_methods);
}

bool UseNativeReader(const Gil&, PyObject* protocol) {
  if (!Is(protocol, state->protocol.plain)) return true;
  const Owned reader = ReaderOf(protocol);
  if (!reader && PyErr_Occurred() != nullptr) {  // its __init__ has not run
    if (PyErr_ExceptionMatches(PyExc_AttributeError) == 0) return false;
    PyErr_Clear();
  }
  if (!reader || !Is(reader.get(), state->reader.plain)) return true;
  const int reader_patched = IsPatched(state->reader);
  const int protocol_patched = reader_patched == 0 ? IsPatched(state->protocol) : 0;
  if (reader_patched != 0 || protocol_patched != 0) {
    return reader_patched >= 0 && protocol_patched >= 0;
  }
  return SetClass(reader.get(), state->reader.native) && SetClass(protocol, state->protocol.native);
}

}  // namespace coloop::io
