#include "io/address.h"

#include <Python.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::io {

using interp::Owned;

namespace {

constexpr unsigned long kMostPort = 0xFFFF;
constexpr unsigned long kMostFlow = 0xFFFFF;
constexpr unsigned long kMostScope = 0xFFFFFFFF;

// A path, or the bytes of an abstract name (unix(7)): as socket's makesockaddr.
Owned UnixName(const Address& address) {
  const auto& name = reinterpret_cast<const sockaddr_un&>(address.storage);
  const std::size_t head = offsetof(sockaddr_un, sun_path);
  const std::size_t length = address.length > head ? address.length - head : 0;
  if (length > 0 && name.sun_path[0] == 0) {
    return Owned(PyBytes_FromStringAndSize(name.sun_path, static_cast<Py_ssize_t>(length)));
  }
  const char* end = std::find(name.sun_path, name.sun_path + length, '\0');
  return Owned(PyUnicode_DecodeFSDefaultAndSize(name.sun_path, end - name.sun_path));
}

// An exact int from 0 to `most`.
bool ReadNumber(PyObject* object, unsigned long most, unsigned long* number) {
  if (PyLong_CheckExact(object) == 0) return false;
  *number = PyLong_AsUnsignedLong(object);
  if (PyErr_Occurred() == nullptr) return *number <= most;
  PyErr_Clear();
  return false;
}

bool ReadHost(PyObject* object, int family, void* host) {
  if (PyUnicode_CheckExact(object) == 0) return false;
  Py_ssize_t length = 0;
  const char* text = PyUnicode_AsUTF8AndSize(object, &length);
  if (text == nullptr) {
    PyErr_Clear();
    return false;
  }
  return static_cast<std::size_t>(length) == std::strlen(text) &&
         inet_pton(family, text, host) == 1;
}

bool ReadV4(PyObject* object, Address* address) {
  if (PyTuple_CheckExact(object) == 0 || PyTuple_GET_SIZE(object) != 2) return false;
  auto& v4 = reinterpret_cast<sockaddr_in&>(address->storage);
  v4 = sockaddr_in{};
  unsigned long port = 0;
  if (!ReadHost(PyTuple_GET_ITEM(object, 0), AF_INET, &v4.sin_addr) ||
      !ReadNumber(PyTuple_GET_ITEM(object, 1), kMostPort, &port)) {
    return false;
  }
  v4.sin_family = AF_INET;
  v4.sin_port = htons(static_cast<std::uint16_t>(port));
  address->length = sizeof(v4);
  return true;
}

bool ReadV6(PyObject* object, Address* address) {
  const Py_ssize_t size = PyTuple_CheckExact(object) != 0 ? PyTuple_GET_SIZE(object) : 0;
  if (size < 2 || size > 4) return false;
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address->storage);
  v6 = sockaddr_in6{};
  unsigned long port = 0;
  unsigned long flow = 0;
  unsigned long scope = 0;
  if (!ReadHost(PyTuple_GET_ITEM(object, 0), AF_INET6, &v6.sin6_addr) ||
      !ReadNumber(PyTuple_GET_ITEM(object, 1), kMostPort, &port) ||
      (size > 2 && !ReadNumber(PyTuple_GET_ITEM(object, 2), kMostFlow, &flow)) ||
      (size > 3 && !ReadNumber(PyTuple_GET_ITEM(object, 3), kMostScope, &scope))) {
    return false;
  }
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(static_cast<std::uint16_t>(port));
  v6.sin6_flowinfo = htonl(static_cast<std::uint32_t>(flow));
  v6.sin6_scope_id = static_cast<std::uint32_t>(scope);
  address->length = sizeof(v6);
  return true;
}

}  // namespace

Address Address::OfSocket(int fd) {
  Address address;
  socklen_t length = sizeof(address.storage);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &length) == 0) {
    address.length = length;
  }
  return address;
}

Address Address::OfPeer(int fd) {
  Address address;
  socklen_t length = sizeof(address.storage);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address.storage), &length) == 0) {
    address.length = length;
  }
  return address;
}

Owned ToPython(const interp::Gil&, const Address& address) {
  if (address.length == 0) return Owned::NewRef(Py_None);
  std::array<char, INET6_ADDRSTRLEN> host{};
  switch (address.storage.ss_family) {
    case AF_INET: {
      const auto& v4 = reinterpret_cast<const sockaddr_in&>(address.storage);
      inet_ntop(AF_INET, &v4.sin_addr, host.data(), host.size());
      return Owned(Py_BuildValue("si", host.data(), static_cast<int>(ntohs(v4.sin_port))));
    }
    case AF_INET6: {
      const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address.storage);
      // The zone is the scope_id's alone, as in the socket module.
      inet_ntop(AF_INET6, &v6.sin6_addr, host.data(), host.size());
      return Owned(Py_BuildValue("siII", host.data(), static_cast<int>(ntohs(v6.sin6_port)),
                                 static_cast<unsigned>(ntohl(v6.sin6_flowinfo)),
                                 static_cast<unsigned>(v6.sin6_scope_id)));
    }
    case AF_UNIX:
      return UnixName(address);
    default:
      return Owned::NewRef(Py_None);
  }
}

bool FromPython(const interp::Gil&, int family, PyObject* object, Address* address) {
  switch (family) {
    case AF_INET:
      return ReadV4(object, address);
    case AF_INET6:
      return ReadV6(object, address);
    default:
      return false;
  }
}

}  // namespace coloop::io
