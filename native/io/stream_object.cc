#include "io/stream_object.h"

#include <Python.h>

#include <cstddef>
#include <utility>

#include "interp/error.h"
#include "interp/gil.h"
#include "interp/ref.h"
#include "io/address.h"
#include "io/stream.h"
#include "io/transport.h"
#include "loop/loop.h"

namespace coloop::io {

using interp::Gil;
using interp::Owned;

namespace {

struct StreamObject {
  PyObject_HEAD PyObject* extra;  // asyncio.BaseTransport's slot
  PyObject* flow[4];              // _FlowControlMixin's, not used
  Stream* stream;                 // null before __init__
};

// Fields

template <typename Member>
using FieldOf = Member Stream::*;

template <FieldOf<bool> Field>
PyObject* GetFlag(PyObject* self, void*) {
  const Stream* stream = FindStream(self);
  return PyBool_FromLong(stream != nullptr && stream->*Field ? 1 : 0);
}

template <FieldOf<Owned> Field>
PyObject* GetObject(PyObject* self, void*) {
  const Stream* stream = FindStream(self);
  return stream != nullptr ? OrNone(stream->*Field) : OrNone(Owned());
}

template <FieldOf<Owned> Field>
int SetObject(PyObject* self, PyObject* value, void*) {
  Stream* stream = GetStream(self);
  if (stream == nullptr) return -1;
  stream->*Field = value == nullptr || value == Py_None ? Owned() : Owned::NewRef(value);
  return 0;
}

template <FieldOf<Address> Field>
PyObject* GetAddress(PyObject* self, void*) {
  const Stream* stream = GetStream(self);
  return stream != nullptr ? ToPython(Gil::FromPython(), stream->*Field).release() : nullptr;
}

template <FieldOf<std::size_t> Field>
PyObject* GetSize(PyObject* self, void*) {
  const Stream* stream = GetStream(self);
  return stream != nullptr ? PyLong_FromSize_t(stream->*Field) : nullptr;
}

template <FieldOf<std::size_t> Field>
int SetSize(PyObject* self, PyObject* value, void*) {
  Stream* stream = GetStream(self);
  return stream != nullptr && ReadWaterMark(value, &(stream->*Field)) ? 0 : -1;
}

PyObject* GetLoop(PyObject* self, void*) {
  const Stream* stream = FindStream(self);
  return stream != nullptr && !stream->lost ? OrNone(stream->loop_object) : OrNone(Owned());
}

PyObject* GetDescriptor(PyObject* self, void*) {
  const Stream* stream = FindStream(self);
  return PyLong_FromLong(stream != nullptr ? stream->fd : -1);
}

int SetSocket(PyObject* self, PyObject* value, void*) {
  Stream* stream = GetStream(self);
  if (stream == nullptr) return -1;
  if (value == nullptr) {
    PyErr_SetString(PyExc_AttributeError, "the socket cannot be deleted");
    return -1;
  }
  stream->SetSocket(Gil::FromPython(), value);
  return 0;
}

PyObject* GetLostWrites(PyObject* self, void*) {
  const Stream* stream = FindStream(self);
  return PyLong_FromLong(stream != nullptr ? stream->lost_writes : 0);
}

PyObject* GetWriting(PyObject* self, void*) {
  const Stream* stream = FindStream(self);
  return PyBool_FromLong(stream != nullptr && stream->is_writing() ? 1 : 0);
}

PyGetSetDef getset[] = {
    {"_loop", GetLoop, nullptr, nullptr, nullptr},
    {"_protocol", GetObject<&Stream::protocol>, nullptr, nullptr, nullptr},
    {"_server", GetObject<&Stream::server>, nullptr, nullptr, nullptr},
    {"_socket", GetObject<&Stream::socket>, SetSocket, nullptr, nullptr},
    {"_empty_waiter", GetObject<&Stream::empty_waiter>, SetObject<&Stream::empty_waiter>, nullptr,
     nullptr},
    {"_sockname", GetAddress<&Stream::name>, nullptr, nullptr, nullptr},
    {"_peername", GetAddress<&Stream::peer>, nullptr, nullptr, nullptr},
    {"_sock_fd", GetDescriptor, nullptr, nullptr, nullptr},
    {"_conn_lost", GetLostWrites, nullptr, nullptr, nullptr},
    {"_closing", GetFlag<&Stream::closing>, nullptr, nullptr, nullptr},
    {"_paused", GetFlag<&Stream::paused>, nullptr, nullptr, nullptr},
    {"_eof", GetFlag<&Stream::eof>, nullptr, nullptr, nullptr},
    {"_lost", GetFlag<&Stream::lost>, nullptr, nullptr, nullptr},
    {"_protocol_paused", GetFlag<&Stream::protocol_paused>, nullptr, nullptr, nullptr},
    {"_writing", GetWriting, nullptr, nullptr, nullptr},
    {"_high_water", GetSize<&Stream::high_water>, SetSize<&Stream::high_water>, nullptr, nullptr},
    {"_low_water", GetSize<&Stream::low_water>, SetSize<&Stream::low_water>, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

// Life

int Traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(reinterpret_cast<StreamObject*>(self)->extra);
  const Stream* stream = FindStream(self);
  return stream != nullptr ? stream->Traverse(visit, arg) : 0;
}

int Clear(PyObject* self) {
  Py_CLEAR(reinterpret_cast<StreamObject*>(self)->extra);
  Stream* stream = FindStream(self);
  if (stream != nullptr) stream->ClearReferences();
  return 0;
}

void Finalize(PyObject* self) {
  Stream* stream = FindStream(self);
  if (stream == nullptr || stream->fd < 0) return;
  const Gil gil = Gil::FromPython();
  const bool pending = PyErr_Occurred() != nullptr;
  const Owned exception = pending ? interp::TakeException(gil) : Owned();
  const Owned done(PyObject_CallMethod(self, "_dropped", nullptr));
  if (!done) interp::ReportUnraisable(gil, self);
  if (pending) interp::RaiseException(gil, exception.get());
}

void Dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  Py_CLEAR(reinterpret_cast<StreamObject*>(self)->extra);
  Stream* stream = std::exchange(reinterpret_cast<StreamObject*>(self)->stream, nullptr);
  if (stream != nullptr) {
    const Owned socket = stream->TakeSocket();
    delete stream;
  }
  type->tp_free(self);
  Py_DECREF(type);
}

}  // namespace

Stream* FindStream(PyObject* self) { return reinterpret_cast<StreamObject*>(self)->stream; }

// Null with an exception set for a transport whose __init__ did not run.
Stream* GetStream(PyObject* self) {
  Stream* stream = FindStream(self);
  if (stream == nullptr) PyErr_SetString(PyExc_RuntimeError, "the transport is not initialised");
  return stream;
}

Stream* NewStream(PyObject* self, PyObject* loop, int fd, Stream::Medium medium) {
  const Gil gil = Gil::FromPython();
  loop::Loop* native = loop::Loop::From(gil, loop);
  if (native == nullptr) {
    PyErr_Format(PyExc_TypeError, "an ErlangEventLoop is required, not %R", loop);
    return nullptr;
  }
  auto* object = reinterpret_cast<StreamObject*>(self);
  if (object->stream != nullptr) {  // asked last: what ran before, such as fileno(), may come here
    PyErr_SetString(PyExc_RuntimeError, "the transport is initialised");
    return nullptr;
  }
  object->stream = new Stream(self, loop, *native, fd, medium);
  return object->stream;
}

void SetExtra(PyObject* self, Owned extra) {
  Py_XSETREF(reinterpret_cast<StreamObject*>(self)->extra, extra.release());
}

PyObject* NoneIf(bool done) {
  if (!done) return nullptr;
  Py_RETURN_NONE;
}

PyObject* OrNone(const Owned& object) {
  return Owned::NewRef(object ? object.get() : Py_None).release();
}

PyObject* Abort(PyObject* self, PyObject*) {
  return CallStreamWith<&Stream::ForceClose>(self, Py_None);
}

// StreamWriter.drain() asks this.
PyObject* IsClosing(PyObject* self, PyObject*) {
  Stream* stream = GetStream(self);
  if (stream == nullptr || !stream->SendPending(Gil::FromPython())) return nullptr;
  return PyBool_FromLong(stream->closing ? 1 : 0);
}

PyObject* IsReading(PyObject* self, PyObject*) {
  const Stream* stream = GetStream(self);
  return stream != nullptr ? PyBool_FromLong(stream->is_reading() ? 1 : 0) : nullptr;
}

PyObject* GetProtocol(PyObject* self, PyObject*) {
  const Stream* stream = GetStream(self);
  return stream != nullptr ? OrNone(stream->protocol) : nullptr;
}

PyObject* CanWriteEof(PyObject*, PyObject*) { Py_RETURN_TRUE; }

PyObject* GetWriteBufferSize(PyObject* self, PyObject*) {
  Stream* stream = GetStream(self);
  if (stream == nullptr || !stream->SendPending(Gil::FromPython())) return nullptr;
  return PyLong_FromSize_t(stream->pending());
}

PyObject* MakeTransportType(const Gil&, PyObject* module, const char* name, const char* base_name,
                            initproc init, PyMethodDef* methods) {
  PyType_Slot slots[] = {
      {Py_tp_init, reinterpret_cast<void*>(init)},
      {Py_tp_dealloc, reinterpret_cast<void*>(Dealloc)},
      {Py_tp_finalize, reinterpret_cast<void*>(Finalize)},
      {Py_tp_traverse, reinterpret_cast<void*>(Traverse)},
      {Py_tp_clear, reinterpret_cast<void*>(Clear)},
      {Py_tp_methods, methods},
      {Py_tp_getset, getset},
      {0, nullptr},
  };
  PyType_Spec spec = {name, sizeof(StreamObject), 0,
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};
  const Owned transports(PyImport_ImportModule("asyncio.transports"));
  const Owned base(transports ? PyObject_GetAttrString(transports.get(), base_name) : nullptr);
  if (!base) return nullptr;
  const Py_ssize_t size = reinterpret_cast<PyTypeObject*>(base.get())->tp_basicsize;
  if (size != offsetof(StreamObject, flow) && size != offsetof(StreamObject, stream)) {
    PyErr_Format(PyExc_TypeError, "asyncio's %s has another layout than expected", base_name);
    return nullptr;
  }
  const Owned bases(PyTuple_Pack(1, base.get()));
  Owned type(bases ? PyType_FromSpecWithBases(&spec, bases.get()) : nullptr);
  const bool added =
      type && PyModule_AddType(module, reinterpret_cast<PyTypeObject*>(type.get())) == 0;
  return added ? type.release() : nullptr;
}

}  // namespace coloop::io
