#include "io/pipe_type.h"

#include <Python.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "interp/arguments.h"
#include "interp/gil.h"
#include "interp/method.h"
#include "interp/ref.h"
#include "io/stream.h"
#include "io/stream_object.h"
#include "io/stream_protocol.h"
#include "io/transport.h"

namespace coloop::io {

using interp::AsMethod;
using interp::Gil;
using interp::Named;
using interp::Owned;

namespace {

struct Pipe {
  PyObject* loop = nullptr;
  PyObject* file = nullptr;
  PyObject* protocol = nullptr;
  PyObject* waiter = Py_None;
  PyObject* extra = Py_None;
  int fd = -1;
};

// (loop, pipe, protocol, waiter=None, extra=None). False with an exception set.
bool ReadArguments(PyObject* args, PyObject* kwargs, Pipe* pipe) {
  static const char* keywords[] = {"loop", "pipe", "protocol", "waiter", "extra", nullptr};
  if (PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|OO", const_cast<char**>(keywords), &pipe->loop,
                                  &pipe->file, &pipe->protocol, &pipe->waiter, &pipe->extra) == 0) {
    return false;
  }
  const Owned number(PyObject_CallMethod(pipe->file, "fileno", nullptr));
  const long fd = number ? PyLong_AsLong(number.get()) : -1;
  if (fd == -1 && PyErr_Occurred() != nullptr) return false;
  pipe->fd = static_cast<int>(fd);
  return true;
}

bool SetNonBlocking(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

int InitPipe(PyObject* self, PyObject* args, PyObject* kwargs, bool writes) {
  Pipe pipe;
  if (!ReadArguments(args, kwargs, &pipe)) return -1;
  Owned extra = pipe.extra == Py_None ? Owned(PyDict_New()) : Owned::NewRef(pipe.extra);
  if (!extra) return -1;
  const Owned name(PyUnicode_FromString("pipe"));
  if (!name || PyObject_SetItem(extra.get(), name.get(), pipe.file) != 0) return -1;
  SetExtra(self, std::move(extra));

  struct stat status{};
  if (pipe.fd < 0 || fstat(pipe.fd, &status) != 0) {
    if (pipe.fd < 0) errno = EBADF;
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
  }
  const bool device = S_ISCHR(status.st_mode);
  if (!device && !S_ISFIFO(status.st_mode) && !S_ISSOCK(status.st_mode)) {
    PyErr_SetString(PyExc_ValueError,
                    writes ? "Pipe transport is only for pipes, sockets and character devices"
                           : "Pipe transport is for pipes/sockets only.");
    return -1;
  }
  if (!SetNonBlocking(pipe.fd)) {
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
  }
  using Medium = Stream::Medium;
  const Medium medium =
      writes ? (device ? Medium::kWriteDevice : Medium::kWritePipe) : Medium::kReadPipe;
  Stream* stream = NewStream(self, pipe.loop, pipe.fd, medium);
  if (stream == nullptr) return -1;
  if (!writes) stream->SetTrigger(Stream::Trigger::kLevel);
  stream->socket = Owned::NewRef(pipe.file);
  const Gil gil = Gil::FromPython();
  if (!UseNativeStreams(gil, pipe.protocol)) return -1;
  stream->SetProtocol(pipe.protocol, false, nullptr);
  return stream->Start(gil, pipe.waiter == Py_None ? nullptr : pipe.waiter) ? 0 : -1;
}

int InitReader(PyObject* self, PyObject* args, PyObject* kwargs) {
  return InitPipe(self, args, kwargs, false);
}

int InitWriter(PyObject* self, PyObject* args, PyObject* kwargs) {
  return InitPipe(self, args, kwargs, true);
}

PyObject* SetProtocol(PyObject* self, PyObject* protocol) {
  Stream* stream = GetStream(self);
  if (stream == nullptr || !UseNativeStreams(Gil::FromPython(), protocol)) return nullptr;
  stream->SetProtocol(protocol, false, nullptr);
  Py_RETURN_NONE;
}

PyObject* Write(PyObject* self, PyObject* data) {
  Stream* stream = GetStream(self);
  if (stream == nullptr) return nullptr;
  if (PyBytes_Check(data) == 0 && PyByteArray_Check(data) == 0 && PyMemoryView_Check(data) == 0) {
    const Owned text(PyObject_Repr(data));
    if (text) PyErr_SetObject(PyExc_AssertionError, text.get());
    return nullptr;
  }
  Owned bytes = PyBytes_CheckExact(data) ? Owned::NewRef(data) : Owned(PyBytes_FromObject(data));
  if (!bytes) return nullptr;
  if (PyBytes_GET_SIZE(bytes.get()) == 0) Py_RETURN_NONE;
  if (!stream->closing && stream->lost_writes == 0) {
    return NoneIf(stream->Write(Gil::FromPython(), std::move(bytes)));
  }
  if (stream->dropped_writes++ < kLogLostWrites) Py_RETURN_NONE;
  return PyObject_CallMethod(self, "_warn_lost_write", nullptr);
}

PyMethodDef reader_methods[] = {
    {"close", CallStream<&Stream::Close>, METH_NOARGS, nullptr},
    {"is_closing", IsClosing, METH_NOARGS, nullptr},
    {"is_reading", IsReading, METH_NOARGS, nullptr},
    {"pause_reading", CallStream<&Stream::PauseReading>, METH_NOARGS, nullptr},
    {"resume_reading", CallStream<&Stream::ResumeReading>, METH_NOARGS, nullptr},
    {"set_protocol", AsMethod(Named<SetProtocol, kSetProtocol>), METH_FASTCALL | METH_KEYWORDS,
     nullptr},
    {"get_protocol", GetProtocol, METH_NOARGS, nullptr},
    {"_force_close", CallStreamWith<&Stream::ForceClose>, METH_O, nullptr},
    {"_call_connection_lost", CallStreamWith<&Stream::LoseConnection>, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyMethodDef writer_methods[] = {
    {"write", AsMethod(Named<Write, kWrite>), METH_FASTCALL | METH_KEYWORDS, nullptr},
    {"write_eof", CallStream<&Stream::Close>, METH_NOARGS, nullptr},
    {"can_write_eof", CanWriteEof, METH_NOARGS, nullptr},
    {"close", CallStream<&Stream::Close>, METH_NOARGS, nullptr},
    {"abort", Abort, METH_NOARGS, nullptr},
    {"is_closing", IsClosing, METH_NOARGS, nullptr},
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

bool AddPipeTypes(const Gil& gil, PyObject* module) {
  return MakeTransportType(gil, module, "_coloop.ReadPipe", "ReadTransport", InitReader,
                           reader_methods) != nullptr &&
         MakeTransportType(gil, module, "_coloop.WritePipe", "_FlowControlMixin", InitWriter,
                           writer_methods) != nullptr;
}

}  // namespace coloop::io
