#include "io/stream_type.h"

#include <Python.h>
#include <netinet/in.h>  // NOLINT(misc-include-cleaner): IPPROTO_TCP
#include <netinet/tcp.h>
#include <structmember.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <utility>

#include "interp/error.h"
#include "interp/gil.h"
#include "interp/ref.h"
#include "io/address.h"
#include "io/stream.h"
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

PyObject* buffered_protocol = nullptr;
PyTypeObject* stream_type = nullptr;

Stream* Find(PyObject* self) { return reinterpret_cast<StreamObject*>(self)->stream; }

// Null with an exception set for a transport whose __init__ did not run.
Stream* Get(PyObject* self) {
  Stream* stream = Find(self);
  if (stream == nullptr) PyErr_SetString(PyExc_RuntimeError, "the transport is not initialised");
  return stream;
}

PyObject* NoneIf(bool done) {
  if (!done) return nullptr;
  Py_RETURN_NONE;
}

PyObject* OrNone(const Owned& object) {
  return Owned::NewRef(object ? object.get() : Py_None).release();
}

bool UseProtocol(Stream& stream, PyObject* protocol) {
  const int buffered = PyObject_IsInstance(protocol, buffered_protocol);
  if (buffered < 0) return false;
  stream.SetProtocol(protocol, buffered != 0);
  return true;
}

bool AttachServer(PyObject* self, Stream& stream, PyObject* server) {
  if (server == nullptr || server == Py_None) return true;
  stream.server = Owned::NewRef(server);
#if PY_VERSION_HEX >= 0x030D0000
  const Owned done(PyObject_CallMethod(server, "_attach", "O", self));
#else
  (void)self;
  const Owned done(PyObject_CallMethod(server, "_attach", nullptr));
#endif
  return static_cast<bool>(done);
}

// Small writes go out without waiting for the acknowledgement of the ones before.
bool SetNoDelay(int fd, const Address& name) {
  if (name.length != 0 && name.storage.ss_family != AF_INET && name.storage.ss_family != AF_INET6) {
    return true;
  }
  const int on = 1;
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0) return true;
  if (errno != EBADF) return true;  // not TCP
  PyErr_SetFromErrno(PyExc_OSError);
  return false;
}

Stream* NewStream(PyObject* self, PyObject* loop, int fd) {
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
  object->stream = new Stream(self, loop, *native, fd);
  return object->stream;
}

int Init(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* keywords[] = {"loop",  "sock",   "protocol", "waiter",
                                   "extra", "server", nullptr};
  PyObject* loop = nullptr;
  PyObject* sock = nullptr;
  PyObject* protocol = nullptr;
  PyObject* waiter = Py_None;
  PyObject* extra = Py_None;
  PyObject* server = Py_None;
  if (PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|OOO", const_cast<char**>(keywords), &loop,
                                  &sock, &protocol, &waiter, &extra, &server) == 0) {
    return -1;
  }
  const Owned number(PyObject_CallMethod(sock, "fileno", nullptr));
  const long fd = number ? PyLong_AsLong(number.get()) : -1;
  if (fd == -1 && PyErr_Occurred() != nullptr) return -1;
  const Address name = Address::OfSocket(static_cast<int>(fd));
  if (!SetNoDelay(static_cast<int>(fd), name)) return -1;
  PyObject* dict = extra == Py_None ? PyDict_New() : Owned::NewRef(extra).release();
  if (dict == nullptr) return -1;
  Py_XSETREF(reinterpret_cast<StreamObject*>(self)->extra, dict);
  Stream* stream = NewStream(self, loop, static_cast<int>(fd));
  if (stream == nullptr) return -1;
  stream->name = name;
  stream->peer = Address::OfPeer(static_cast<int>(fd));
  stream->socket = Owned::NewRef(sock);
  const Gil gil = Gil::FromPython();
  const bool ready = UseProtocol(*stream, protocol) && AttachServer(self, *stream, server) &&
                     stream->Start(gil, waiter == Py_None ? nullptr : waiter);
  return ready ? 0 : -1;
}

// Methods

// A bytes object of what a bytes-like object has now: the object itself if it cannot change.
Owned AsBytes(PyObject* data) {
  if (PyBytes_CheckExact(data)) return Owned::NewRef(data);
  return Owned(PyBytes_FromObject(data));
}

bool MayWrite(const Stream& stream, const char* method) {
  if (stream.eof) {
    PyErr_Format(PyExc_RuntimeError, "Cannot call %s() after write_eof()", method);
    return false;
  }
  if (stream.empty_waiter && stream.empty_waiter.get() != Py_None) {
    PyErr_Format(PyExc_RuntimeError, "unable to %s; sendfile is in progress", method);
    return false;
  }
  return true;
}

// After the connection was lost: counted, and said once it becomes a habit.
constexpr long kLogLostWrites = 5;  // asyncio's LOG_THRESHOLD_FOR_CONNLOST_WRITES

PyObject* CountLostWrite(PyObject* self, Stream& stream) {
  if (stream.lost_writes++ < kLogLostWrites) Py_RETURN_NONE;
  return PyObject_CallMethod(self, "_warn_lost_write", nullptr);
}

PyObject* Write(PyObject* self, PyObject* data) {
  Stream* stream = Get(self);
  if (stream == nullptr) return nullptr;
  if (PyBytes_Check(data) == 0 && PyByteArray_Check(data) == 0 && PyMemoryView_Check(data) == 0) {
    const Owned name(PyUnicode_FromString(Py_TYPE(data)->tp_name));
    if (!name) return nullptr;
    return PyErr_Format(PyExc_TypeError, "data argument must be a bytes-like object, not %R",
                        name.get());
  }
  if (!MayWrite(*stream, "write")) return nullptr;
  Owned bytes = AsBytes(data);
  if (!bytes) return nullptr;
  if (PyBytes_GET_SIZE(bytes.get()) == 0) Py_RETURN_NONE;
  if (stream->lost_writes > 0) return CountLostWrite(self, *stream);
  return NoneIf(stream->Write(Gil::FromPython(), std::move(bytes)));
}

PyObject* WriteLines(PyObject* self, PyObject* lines) {
  Stream* stream = Get(self);
  if (stream == nullptr || !MayWrite(*stream, "writelines")) return nullptr;
  const Owned items(
      PySequence_Fast(lines, "writelines() requires an iterable of bytes-like objects"));
  if (!items) return nullptr;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.get()); ++i) {
    PyObject* item = PySequence_Fast_GET_ITEM(items.get(), i);
    if (PyObject_CheckBuffer(item) == 0) {
      return PyErr_Format(PyExc_TypeError,
                          "sequence item %zd: expected a bytes-like object, %.80s found", i,
                          Py_TYPE(item)->tp_name);
    }
  }
  bool counted = false;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.get()); ++i) {
    Owned bytes = AsBytes(PySequence_Fast_GET_ITEM(items.get(), i));
    if (!bytes) return nullptr;
    if (PyBytes_GET_SIZE(bytes.get()) == 0) continue;
    if (stream->lost_writes > 0) {
      if (counted) continue;
      counted = true;
      const Owned done(CountLostWrite(self, *stream));
      if (!done) return nullptr;
    } else if (!stream->Write(Gil::FromPython(), std::move(bytes))) {
      return nullptr;
    }
  }
  Py_RETURN_NONE;
}

template <bool (Stream::*Method)(const Gil&)>
PyObject* Call(PyObject* self, PyObject*) {
  Stream* stream = Get(self);
  return stream != nullptr ? NoneIf((stream->*Method)(Gil::FromPython())) : nullptr;
}

template <bool (Stream::*Method)(const Gil&, PyObject*)>
PyObject* CallWith(PyObject* self, PyObject* argument) {
  Stream* stream = Get(self);
  return stream != nullptr ? NoneIf((stream->*Method)(Gil::FromPython(), argument)) : nullptr;
}

PyObject* Abort(PyObject* self, PyObject*) { return CallWith<&Stream::ForceClose>(self, Py_None); }

PyObject* IsClosing(PyObject* self, PyObject*) {
  const Stream* stream = Get(self);
  return stream != nullptr ? PyBool_FromLong(stream->closing ? 1 : 0) : nullptr;
}

PyObject* IsReading(PyObject* self, PyObject*) {
  const Stream* stream = Get(self);
  return stream != nullptr ? PyBool_FromLong(stream->is_reading() ? 1 : 0) : nullptr;
}

PyObject* SetProtocol(PyObject* self, PyObject* protocol) {
  Stream* stream = Get(self);
  return stream != nullptr ? NoneIf(UseProtocol(*stream, protocol)) : nullptr;
}

PyObject* GetProtocol(PyObject* self, PyObject*) {
  const Stream* stream = Get(self);
  return stream != nullptr ? OrNone(stream->protocol) : nullptr;
}

PyObject* CanWriteEof(PyObject*, PyObject*) { Py_RETURN_TRUE; }

PyObject* GetWriteBufferSize(PyObject* self, PyObject*) {
  Stream* stream = Get(self);
  if (stream == nullptr || !stream->SendPending(Gil::FromPython())) return nullptr;
  return PyLong_FromSize_t(stream->pending());
}

PyMethodDef methods[] = {
    {"write", Write, METH_O, nullptr},
    {"writelines", WriteLines, METH_O, nullptr},
    {"write_eof", Call<&Stream::WriteEof>, METH_NOARGS, nullptr},
    {"can_write_eof", CanWriteEof, METH_NOARGS, nullptr},
    {"close", Call<&Stream::Close>, METH_NOARGS, nullptr},
    {"abort", Abort, METH_NOARGS, nullptr},
    {"is_closing", IsClosing, METH_NOARGS, nullptr},
    {"is_reading", IsReading, METH_NOARGS, nullptr},
    {"pause_reading", Call<&Stream::PauseReading>, METH_NOARGS, nullptr},
    {"resume_reading", Call<&Stream::ResumeReading>, METH_NOARGS, nullptr},
    {"set_protocol", SetProtocol, METH_O, nullptr},
    {"get_protocol", GetProtocol, METH_NOARGS, nullptr},
    {"get_write_buffer_size", GetWriteBufferSize, METH_NOARGS, nullptr},
    {"_maybe_pause_protocol", Call<&Stream::MaybePause>, METH_NOARGS, nullptr},
    {"_force_close", CallWith<&Stream::ForceClose>, METH_O, nullptr},
    {"_call_connection_lost", CallWith<&Stream::LoseConnection>, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

// Fields

template <typename Member>
using FieldOf = Member Stream::*;

template <FieldOf<bool> Field>
PyObject* GetFlag(PyObject* self, void*) {
  const Stream* stream = Find(self);
  return PyBool_FromLong(stream != nullptr && stream->*Field ? 1 : 0);
}

template <FieldOf<Owned> Field>
PyObject* GetObject(PyObject* self, void*) {
  const Stream* stream = Find(self);
  return stream != nullptr ? OrNone(stream->*Field) : OrNone(Owned());
}

template <FieldOf<Owned> Field>
int SetObject(PyObject* self, PyObject* value, void*) {
  Stream* stream = Get(self);
  if (stream == nullptr) return -1;
  stream->*Field = value == nullptr || value == Py_None ? Owned() : Owned::NewRef(value);
  return 0;
}

template <FieldOf<Address> Field>
PyObject* GetAddress(PyObject* self, void*) {
  const Stream* stream = Get(self);
  return stream != nullptr ? ToPython(Gil::FromPython(), stream->*Field).release() : nullptr;
}

template <FieldOf<std::size_t> Field>
PyObject* GetSize(PyObject* self, void*) {
  const Stream* stream = Get(self);
  return stream != nullptr ? PyLong_FromSize_t(stream->*Field) : nullptr;
}

template <FieldOf<std::size_t> Field>
int SetSize(PyObject* self, PyObject* value, void*) {
  Stream* stream = Get(self);
  if (stream == nullptr) return -1;
  if (value == nullptr) {
    PyErr_SetString(PyExc_AttributeError, "a water mark cannot be deleted");
    return -1;
  }
  const std::size_t size = PyLong_AsSize_t(value);
  if (PyErr_Occurred() != nullptr) return -1;
  stream->*Field = size;
  return 0;
}

PyObject* GetLoop(PyObject* self, void*) {
  const Stream* stream = Find(self);
  return stream != nullptr && !stream->lost ? OrNone(stream->loop_object) : OrNone(Owned());
}

PyObject* GetDescriptor(PyObject* self, void*) {
  const Stream* stream = Find(self);
  return PyLong_FromLong(stream != nullptr ? stream->fd : -1);
}

PyObject* GetLostWrites(PyObject* self, void*) {
  const Stream* stream = Find(self);
  return PyLong_FromLong(stream != nullptr ? stream->lost_writes : 0);
}

PyObject* GetWriting(PyObject* self, void*) {
  const Stream* stream = Find(self);
  return PyBool_FromLong(stream != nullptr && stream->is_writing() ? 1 : 0);
}

PyGetSetDef getset[] = {
    {"_loop", GetLoop, nullptr, nullptr, nullptr},
    {"_protocol", GetObject<&Stream::protocol>, nullptr, nullptr, nullptr},
    {"_server", GetObject<&Stream::server>, nullptr, nullptr, nullptr},
    {"_socket", GetObject<&Stream::socket>, SetObject<&Stream::socket>, nullptr, nullptr},
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
  const Stream* stream = Find(self);
  return stream != nullptr ? stream->Traverse(visit, arg) : 0;
}

int Clear(PyObject* self) {
  Py_CLEAR(reinterpret_cast<StreamObject*>(self)->extra);
  Stream* stream = Find(self);
  if (stream != nullptr) stream->ClearReferences();
  return 0;
}

void Finalize(PyObject* self) {
  Stream* stream = Find(self);
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

PyType_Slot slots[] = {
    {Py_tp_init, reinterpret_cast<void*>(Init)},
    {Py_tp_dealloc, reinterpret_cast<void*>(Dealloc)},
    {Py_tp_finalize, reinterpret_cast<void*>(Finalize)},
    {Py_tp_traverse, reinterpret_cast<void*>(Traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(Clear)},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {0, nullptr},
};

PyType_Spec spec = {"_coloop.Stream", sizeof(StreamObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};

}  // namespace

bool AddStreamType(const Gil&, PyObject* module) {
  const Owned transports(PyImport_ImportModule("asyncio.transports"));
  const Owned protocols(PyImport_ImportModule("asyncio.protocols"));
  if (!transports || !protocols) return false;
  const Owned base(PyObject_GetAttrString(transports.get(), "_FlowControlMixin"));
  buffered_protocol = PyObject_GetAttrString(protocols.get(), "BufferedProtocol");
  if (!base || buffered_protocol == nullptr) return false;
  auto* base_type = reinterpret_cast<PyTypeObject*>(base.get());
  if (base_type->tp_basicsize != offsetof(StreamObject, stream)) {
    PyErr_SetString(PyExc_TypeError,
                    "asyncio's _FlowControlMixin has another layout than expected");
    return false;
  }
  const Owned bases(PyTuple_Pack(1, base.get()));
  if (!bases) return false;
  stream_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpecWithBases(&spec, bases.get()));
  return stream_type != nullptr && PyModule_AddType(module, stream_type) == 0;
}

bool IsStreamType(PyObject* object) {
  return PyType_Check(object) != 0 &&
         PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(object), stream_type) != 0;
}

Owned AcceptStream(const Gil& gil, PyObject* type, PyObject* loop, int fd, const Address& peer,
                   PyObject* protocol, PyObject* server) {
  auto* class_object = reinterpret_cast<PyTypeObject*>(type);
  Owned self(class_object->tp_alloc(class_object, 0));
  PyObject* dict = self ? PyDict_New() : nullptr;
  if (dict == nullptr) {
    close(fd);
    return Owned();
  }
  reinterpret_cast<StreamObject*>(self.get())->extra = dict;
  Stream* stream = NewStream(self.get(), loop, fd);
  if (stream == nullptr) {
    close(fd);
    return Owned();
  }
  stream->peer = peer;
  stream->name = Address::OfSocket(fd);
  const bool ready = UseProtocol(*stream, protocol) && AttachServer(self.get(), *stream, server) &&
                     stream->Start(gil, nullptr);
  return ready ? std::move(self) : Owned();
}

}  // namespace coloop::io
