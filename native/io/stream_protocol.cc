#include "io/stream_protocol.h"

#include <Python.h>

#include <cstddef>
#include <iterator>
#include <utility>

#include "interp/error.h"
#include "interp/gil.h"
#include "interp/method.h"
#include "interp/ref.h"
#include "io/names.h"
#include "io/stream_class.h"
#include "io/stream_coroutine.h"
#include "io/stream_fields.h"
#include "io/stream_reader.h"
#include "io/stream_writer.h"

namespace coloop::io {

using interp::AsMethod;
using interp::Gil;
using interp::Owned;

namespace {

// In the order of the table below.
enum Method : std::size_t { kDataReceived, kConnectionMade, kDrainHelper };

// Null without an exception when it is gone.
Owned ReaderOf(const Fields& protocol) {
  const Owned reference = protocol.Get(Names().stream_reader_wr);
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
  StreamClass& protocols = Classes().protocol;
  if (!protocols.IsWhole())
    return protocols.CallPatched(kDataReceived, self, args, count, keywords);
  if (count != 1 || keywords != nullptr) {
    return protocols.CallPlain(kDataReceived, self, args, count, keywords);
  }
  const Gil gil = Gil::FromPython();
  const Owned reader = ReaderOf(Fields(gil, self));
  if (reader) return FeedReader(gil, reader.get(), args[0]);
  if (PyErr_Occurred() != nullptr) return nullptr;
  Py_RETURN_NONE;
}

// client_connected_cb(reader, writer) of a pair of the protocol and its callback, with a writer
// that is ours.
PyObject* ClientConnected(PyObject* pair, PyObject* const* args, Py_ssize_t count) {
  const Gil gil = Gil::FromPython();
  PyObject* callback = PyTuple_GET_ITEM(pair, 1);
  if (!Fields(gil, PyTuple_GET_ITEM(pair, 0)).Set(Names().client_connected_cb, callback)) {
    return nullptr;
  }
  StreamClass& writers = Classes().writer;
  const bool adopt = count == 2 && writers.IsPlain(args[1]) && writers.IsWhole();
  if (adopt && !writers.Adopt(args[1])) return nullptr;
  return PyObject_Vectorcall(callback, args, static_cast<std::size_t>(count), nullptr);
}

PyMethodDef client_connected = {"client_connected_cb", AsMethod(ClientConnected), METH_FASTCALL,
                                nullptr};

// asyncio's calls a server's callback with the writer that it makes.
PyObject* ConnectionMade(PyObject* self, PyObject* const* args, Py_ssize_t count,
                         PyObject* keywords) {
  const Gil gil = Gil::FromPython();
  StreamClass& protocols = Classes().protocol;
  if (!protocols.IsWhole()) {
    return protocols.CallPatched(kConnectionMade, self, args, count, keywords);
  }
  const Fields protocol(gil, self);
  const Owned callback = protocol.Get(Names().client_connected_cb);
  if (!callback) return nullptr;
  if (callback.get() == Py_None) {
    return protocols.CallPlain(kConnectionMade, self, args, count, keywords);
  }
  const Owned pair(PyTuple_Pack(2, self, callback.get()));
  const Owned ours(pair ? PyCFunction_New(&client_connected, pair.get()) : nullptr);
  if (!ours || !protocol.Set(Names().client_connected_cb, ours.get())) return nullptr;
  Owned made(protocols.CallPlain(kConnectionMade, self, args, count, keywords));
  const Owned exception = made ? Owned() : interp::TakeException(gil);
  const Owned now = protocol.Get(Names().client_connected_cb);
  if (!now) PyErr_Clear();  // the callback deleted it
  // It was not called.
  const bool back =
      now.get() != ours.get() || protocol.Set(Names().client_connected_cb, callback.get());
  if (exception) interp::RaiseException(gil, exception.get());
  return back ? made.release() : nullptr;
}

Owned BeginDrainHelper(const Gil& gil, CoroutineState& state) {
  const int waits = MayHaveToWait(Fields(gil, state.owner.get()));
  if (waits == 0) return Owned::NewRef(Py_None);
  if (waits < 0) return Owned();
  PyObject* self = state.owner.get();
  return BeginDelegated(
      state, Owned(Classes().protocol.CallPlain(kDrainHelper, self, nullptr, 0, nullptr)));
}

constexpr CoroutineSteps kDrainHelperSteps{"_drain_helper", "FlowControlMixin._drain_helper",
                                           BeginDrainHelper, EndDelegated, GiveUpDelegated};

PyObject* DrainHelper(PyObject* self, PyObject*) {
  StreamClass& protocols = Classes().protocol;
  if (!protocols.IsWhole()) return protocols.CallPatched(kDrainHelper, self, nullptr, 0, nullptr);
  if (TracksOrigins()) return protocols.CallPlain(kDrainHelper, self, nullptr, 0, nullptr);
  CoroutineState state;
  state.owner = Owned::NewRef(self);
  return NewCoroutine(Gil::FromPython(), kDrainHelperSteps, std::move(state));
}

PyMethodDef methods[] = {
    {"data_received", AsMethod(DataReceived), METH_FASTCALL | METH_KEYWORDS,
     "data_received($self, data)\n--\n\nasyncio.StreamReaderProtocol.data_received"},
    {"connection_made", AsMethod(ConnectionMade), METH_FASTCALL | METH_KEYWORDS,
     "connection_made($self, transport)\n--\n\nasyncio.StreamReaderProtocol.connection_made"},
    {"_drain_helper", DrainHelper, METH_NOARGS, nullptr},
};

}  // namespace

bool InitStreams(const Gil& gil) {
  const Owned streams(PyImport_ImportModule("asyncio.streams"));
  return streams && InitStreamCoroutine(gil) && InitStreamReader(gil, streams.get()) &&
         InitStreamWriter(gil, streams.get()) &&
         Classes().protocol.Make(gil, streams.get(), "StreamReaderProtocol", methods,
                                 std::size(methods));
}

bool UseNativeStreams(const Gil& gil, PyObject* protocol) {
  StreamClasses& classes = Classes();
  if (!classes.protocol.IsPlain(protocol)) return true;
  if (!classes.reader.Restore() || !classes.protocol.Restore() || !classes.writer.Restore()) {
    return false;
  }
  const Owned reader = ReaderOf(Fields(gil, protocol));
  if (!reader && PyErr_Occurred() != nullptr) {  // its __init__ has not run
    if (PyErr_ExceptionMatches(PyExc_AttributeError) == 0) return false;
    PyErr_Clear();
  }
  if (!reader || !classes.reader.IsPlain(reader.get())) return true;
  if (!classes.reader.IsWhole() || !classes.protocol.IsWhole()) return true;
  return classes.reader.Adopt(reader.get()) && classes.protocol.Adopt(protocol);
}

}  // namespace coloop::io
