#include "io/stream_type.h"

#include <Python.h>
#include <netinet/in.h>  // NOLINT(misc-include-cleaner): IPPROTO_TCP
#include <netinet/tcp.h>
#include <structmember.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "interp/arguments.h"
#include "interp/gil.h"
#include "interp/method.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"
#include "io/address.h"
#include "io/stream.h"
#include "io/stream_object.h"
#include "io/stream_protocol.h"
#include "io/tls_type.h"
#include "io/transport.h"

namespace coloop::io {

using interp::AsMethod;
using interp::Gil;
using interp::Named;
using interp::Owned;

namespace {

struct StreamState {
  PyObject* buffered_protocol = nullptr;
  PyTypeObject* type = nullptr;
};
interp::PerInterpreter<StreamState> state;

bool UseProtocol(Stream& stream, PyObject* protocol) {
  const int buffered = IsBuffered(protocol);
  if (buffered < 0 || !UseNativeStreams(Gil::FromPython(), protocol)) return false;
  stream.SetProtocol(protocol, buffered != 0, SinkOf(protocol));
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
  Stream::Trigger trigger{};
  if (!SetUpSocket(static_cast<int>(fd), name, &trigger)) {
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
  }
  Owned dict = extra == Py_None ? Owned(PyDict_New()) : Owned::NewRef(extra);
  if (!dict) return -1;
  SetExtra(self, std::move(dict));
  Stream* stream = NewStream(self, loop, static_cast<int>(fd));
  if (stream == nullptr) return -1;
  stream->name = name;
  stream->peer = Address::OfPeer(static_cast<int>(fd));
  const Gil gil = Gil::FromPython();
  stream->SetSocket(gil, sock);
  stream->SetTrigger(trigger);
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

PyObject* CountLostWrite(PyObject* self, Stream& stream) {
  if (stream.lost_writes++ < kLogLostWrites) Py_RETURN_NONE;
  return PyObject_CallMethod(self, "_warn_lost_write", nullptr);
}

PyObject* Write(PyObject* self, PyObject* data) {
  Stream* stream = GetStream(self);
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
  Stream* stream = GetStream(self);
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
  std::vector<Owned> parts;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.get()); ++i) {
    Owned bytes = AsBytes(PySequence_Fast_GET_ITEM(items.get(), i));
    if (!bytes) return nullptr;
    if (PyBytes_GET_SIZE(bytes.get()) > 0) parts.push_back(std::move(bytes));
  }
  if (parts.empty()) Py_RETURN_NONE;
  if (stream->lost_writes > 0) return CountLostWrite(self, *stream);
  return NoneIf(stream->WriteAll(Gil::FromPython(), std::move(parts)));
}

PyObject* SetProtocol(PyObject* self, PyObject* protocol) {
  Stream* stream = GetStream(self);
  return stream != nullptr ? NoneIf(UseProtocol(*stream, protocol)) : nullptr;
}

PyMethodDef methods[] = {
    {"write", AsMethod(Named<Write, kWrite>), METH_FASTCALL | METH_KEYWORDS, nullptr},
    {"writelines", AsMethod(Named<WriteLines, kWriteLines>), METH_FASTCALL | METH_KEYWORDS,
     nullptr},
    {"write_eof", CallStream<&Stream::WriteEof>, METH_NOARGS, nullptr},
    {"can_write_eof", CanWriteEof, METH_NOARGS, nullptr},
    {"close", CallStream<&Stream::Close>, METH_NOARGS, nullptr},
    {"abort", Abort, METH_NOARGS, nullptr},
    {"is_closing", IsClosing, METH_NOARGS, nullptr},
    {"is_reading", IsReading, METH_NOARGS, nullptr},
    {"pause_reading", CallStream<&Stream::PauseReading>, METH_NOARGS, nullptr},
    {"resume_reading", CallStream<&Stream::ResumeReading>, METH_NOARGS, nullptr},
    {"set_protocol", AsMethod(Named<SetProtocol, kSetProtocol>), METH_FASTCALL | METH_KEYWORDS,
     nullptr},
    {"get_protocol", GetProtocol, METH_NOARGS, nullptr},
    {"get_write_buffer_size", GetWriteBufferSize, METH_NOARGS, nullptr},
    {"_maybe_pause_protocol", CallStream<&Stream::MaybePause>, METH_NOARGS, nullptr},
    {"_force_close", CallStreamWith<&Stream::ForceClose>, METH_O, nullptr},
    {"_call_connection_lost", CallStreamWith<&Stream::LoseConnection>, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

bool AddStreamType(const Gil& gil, PyObject* module) {
  const Owned protocols(PyImport_ImportModule("asyncio.protocols"));
  if (!protocols) return false;
  state->buffered_protocol = PyObject_GetAttrString(protocols.get(), "BufferedProtocol");
  if (state->buffered_protocol == nullptr) return false;
  state->type = reinterpret_cast<PyTypeObject*>(
      MakeTransportType(gil, module, "_coloop.Stream", "_FlowControlMixin", Init, methods));
  return state->type != nullptr;
}

int IsBuffered(PyObject* protocol) {
  return PyObject_IsInstance(protocol, state->buffered_protocol);
}

bool IsStreamType(PyObject* object) {
  return PyType_Check(object) != 0 &&
         PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(object), state->type) != 0;
}

bool SetUpSocket(int fd, const Address& name, Stream::Trigger* trigger) {
  const sa_family_t family = name.length != 0 ? name.storage.ss_family : sa_family_t{AF_UNSPEC};
  *trigger = Stream::Trigger::kLevel;
  if (family != AF_UNSPEC && family != AF_INET && family != AF_INET6) return true;
  const int on = 1;
  const bool is_tcp = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0;
  if (is_tcp) *trigger = Stream::Trigger::kEdge;
  return is_tcp || errno != EBADF;
}

Owned AcceptStream(const Gil& gil, PyObject* type, PyObject* loop, int fd, const Address& peer,
                   Stream::Trigger trigger, PyObject* protocol, PyObject* server) {
  auto* class_object = reinterpret_cast<PyTypeObject*>(type);
  Owned self(class_object->tp_alloc(class_object, 0));
  Owned dict(self ? PyDict_New() : nullptr);
  if (!dict) {
    close(fd);
    return Owned();
  }
  SetExtra(self.get(), std::move(dict));
  Stream* stream = NewStream(self.get(), loop, fd);
  if (stream == nullptr) {
    close(fd);
    return Owned();
  }
  stream->peer = peer;
  stream->name = Address::OfSocket(fd);
  stream->SetTrigger(trigger);
  const bool ready = UseProtocol(*stream, protocol) && AttachServer(self.get(), *stream, server) &&
                     stream->Start(gil, nullptr);
  return ready ? std::move(self) : Owned();
}

}  // namespace coloop::io
