// The functions `_coloop.sock_*`.
#include "io/socket_functions.h"

#include <Python.h>

#include <cstddef>
#include <cstdint>

#include "interp/gil.h"
#include "interp/method.h"
#include "interp/ref.h"
#include "io/address.h"
#include "io/socket_channel.h"
#include "io/socket_operation.h"

namespace coloop::io {

using interp::Gil;
using interp::Owned;

namespace {

// The arguments of the functions below: a loop, a socket, and `count - 2` more. False with an
// exception set.
bool CheckArgs(Py_ssize_t got, Py_ssize_t count) {
  if (got != count) PyErr_SetString(PyExc_TypeError, "wrong number of arguments");
  return got == count;
}

// A size that is given, as the socket module reads it; `call`: what cannot have a negative one.
bool ReadSize(PyObject* object, const char* call, std::size_t* size) {
  const Py_ssize_t value = PyNumber_AsSsize_t(object, PyExc_OverflowError);
  if (value == -1 && PyErr_Occurred() != nullptr) return false;
  if (value < 0) PyErr_Format(PyExc_ValueError, "negative buffersize in %s", call);
  *size = static_cast<std::size_t>(value);
  return value >= 0;
}

// sock_recv(loop, sock, n) -> bytes, or a Future of them
PyObject* SockRecv(PyObject*, PyObject* const* args, Py_ssize_t count) {
  std::size_t size = 0;
  if (!CheckArgs(count, 3) || !ReadSize(args[2], "recv", &size)) return nullptr;
  return Perform(Gil::FromPython(), args[0], args[1], MakeReceive(size, false), false);
}

// sock_recvfrom(loop, sock, n) -> (bytes, address), or a Future of them
PyObject* SockRecvFrom(PyObject*, PyObject* const* args, Py_ssize_t count) {
  std::size_t size = 0;
  if (!CheckArgs(count, 3) || !ReadSize(args[2], "recvfrom", &size)) return nullptr;
  return Perform(Gil::FromPython(), args[0], args[1], MakeReceive(size, true), false);
}

// sock_recv_into(loop, sock, buf) -> int, or a Future of it
PyObject* SockRecvInto(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (!CheckArgs(count, 3)) return nullptr;
  return Perform(Gil::FromPython(), args[0], args[1], MakeReceiveInto(args[2]), false);
}

// sock_recvfrom_into(loop, sock, buf, nbytes) -> (int, address), or a Future of them
PyObject* SockRecvFromInto(PyObject*, PyObject* const* args, Py_ssize_t count) {
  std::size_t size = 0;
  if (!CheckArgs(count, 4) || !ReadSize(args[3], "recvfrom_into", &size)) return nullptr;
  return Perform(Gil::FromPython(), args[0], args[1], MakeReceiveFromInto(args[2], size), false);
}

// sock_sendall(loop, sock, data) -> None, or a Future of it
PyObject* SockSendAll(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (!CheckArgs(count, 3)) return nullptr;
  return Perform(Gil::FromPython(), args[0], args[1], MakeSendAll(args[2]), true);
}

// sock_sendto(loop, sock, family, data, address) -> int, or a Future of it; NotImplemented for an
// address that is not in numbers
PyObject* SockSendTo(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (!CheckArgs(count, 5)) return nullptr;
  const long family = PyLong_AsLong(args[2]);
  if (family == -1 && PyErr_Occurred() != nullptr) return nullptr;
  Address to;
  if (!FromPython(Gil::FromPython(), static_cast<int>(family), args[4], &to)) {
    return Owned::NewRef(Py_NotImplemented).release();
  }
  if (PySys_Audit("socket.sendto", "OO", args[1], args[4]) != 0) return nullptr;
  return Perform(Gil::FromPython(), args[0], args[1], MakeSendTo(args[3], to), true);
}

// sock_sendfile(loop, sock, fileno, offset, count) -> int, or a Future of it
PyObject* SockSendFile(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (!CheckArgs(count, 5)) return nullptr;
  const long file = PyLong_AsLong(args[2]);
  const long long offset = PyErr_Occurred() == nullptr ? PyLong_AsLongLong(args[3]) : -1;
  const long long size = PyErr_Occurred() == nullptr ? PyLong_AsLongLong(args[4]) : -1;
  if (PyErr_Occurred() != nullptr) return nullptr;
  return Perform(Gil::FromPython(), args[0], args[1],
                 MakeSendFile(static_cast<int>(file), offset, static_cast<std::uint64_t>(size)),
                 true);
}

// sock_accept(loop, sock) -> (connection, address), or a Future of them
PyObject* SockAccept(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (!CheckArgs(count, 2)) return nullptr;
  return Perform(Gil::FromPython(), args[0], args[1], MakeAccept(args[1]), false);
}

// sock_connected(loop, sock, address) -> None, or a Future of it
PyObject* SockConnected(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (!CheckArgs(count, 3)) return nullptr;
  return Perform(Gil::FromPython(), args[0], args[1], MakeConnect(args[2]), true);
}

// sock_forget(loop, sock, future): what the future was waited for is not done
PyObject* SockForget(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (!CheckArgs(count, 3)) return nullptr;
  if (!Forget(Gil::FromPython(), args[0], args[1], args[2])) return nullptr;
  Py_RETURN_NONE;
}

using Function = PyObject* (*)(PyObject*, PyObject* const*, Py_ssize_t);

PyMethodDef Method(const char* name, Function function, const char* text) {
  return {name, interp::AsMethod(function), METH_FASTCALL, text};
}

PyMethodDef functions[] = {
    Method("sock_recv", SockRecv, "sock_recv(loop, sock, n): bytes, or a Future."),
    Method("sock_recvfrom", SockRecvFrom,
           "sock_recvfrom(loop, sock, n): (bytes, address), or a Future."),
    Method("sock_recv_into", SockRecvInto, "sock_recv_into(loop, sock, buf): int, or a Future."),
    Method("sock_recvfrom_into", SockRecvFromInto,
           "sock_recvfrom_into(loop, sock, buf, nbytes): (int, address), or a Future."),
    Method("sock_sendall", SockSendAll, "sock_sendall(loop, sock, data): None, or a Future."),
    Method("sock_sendto", SockSendTo,
           "sock_sendto(loop, sock, family, data, address): int, or a Future, or NotImplemented "
           "for a name."),
    Method("sock_sendfile", SockSendFile,
           "sock_sendfile(loop, sock, fileno, offset, count): int, or a Future."),
    Method("sock_accept", SockAccept,
           "sock_accept(loop, sock): (connection, address), or a Future."),
    Method("sock_connected", SockConnected,
           "sock_connected(loop, sock, address): None, or a Future, when its connect() is done."),
    Method("sock_forget", SockForget, "sock_forget(loop, sock, future): nobody waits for it."),
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

bool AddSocketFunctions(const Gil& gil, PyObject* module) {
  return AddSocketChannel(gil, module) && PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace coloop::io
