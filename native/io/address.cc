#include "io/address.h"

#include <Python.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::io {

using interp::Owned;

namespace {

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
  std::array<char, NI_MAXHOST> host{};
  switch (address.storage.ss_family) {
    case AF_INET: {
      const auto& v4 = reinterpret_cast<const sockaddr_in&>(address.storage);
      inet_ntop(AF_INET, &v4.sin_addr, host.data(), host.size());
      return Owned(Py_BuildValue("si", host.data(), static_cast<int>(ntohs(v4.sin_port))));
    }
    case AF_INET6: {
      const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address.storage);
      if (getnameinfo(reinterpret_cast<const sockaddr*>(&v6), sizeof(v6), host.data(), host.size(),
                      nullptr, 0, NI_NUMERICHOST) != 0) {
        inet_ntop(AF_INET6, &v6.sin6_addr, host.data(), host.size());
      }
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

}  // namespace coloop::io
