// Socket addresses as the socket module gives them.
#pragma once

#include <sys/socket.h>

#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::io {

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;  // 0: not known

  // What getsockname and getpeername say, or not known.
  [[nodiscard]] static Address OfSocket(int fd);
  [[nodiscard]] static Address OfPeer(int fd);
};

// (host, port), (host, port, flowinfo, scope_id), a path or a bytes name; None if it is not known.
// Null with an exception set.
[[nodiscard]] interp::Owned ToPython(const interp::Gil& gil, const Address& address);

// The address of a family that such an object stands for, if it is in numbers and of exactly the
// types that ToPython makes. False, without an exception, for any other: that is the socket
// module's to look up, or to refuse.
[[nodiscard]] bool FromPython(const interp::Gil& gil, int family, _object* object,
                              Address* address);

}  // namespace coloop::io
