// The address objects of peers that were heard from lately: one that goes on talking costs no new
// object, and one that is answered no look at its address. GIL held throughout.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>

#include "interp/gil.h"
#include "interp/ref.h"
#include "io/address.h"

namespace coloop::io {

class AddressCache {
 public:
  // As io::ToPython, of what a socket said.
  [[nodiscard]] interp::Owned ToPython(const interp::Gil& gil, const sockaddr_storage& address,
                                       socklen_t length);
  // What this very object stands for, if it is one of these. They are tuples of str and int, which
  // cannot change.
  [[nodiscard]] bool Find(const _object* object, Address* address) const;

 private:
  static constexpr std::size_t kSize = 64;  // a power of two

  struct Key {
    alignas(sockaddr_in6) std::array<unsigned char, sizeof(sockaddr_in6)> bytes;
    socklen_t length = 0;
  };

  std::array<Key, kSize> keys_;
  std::array<interp::Owned, kSize> objects_;
};

}  // namespace coloop::io
