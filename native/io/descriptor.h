// The descriptor of a transport. Whoever gave it the socket object may close or detach that, and
// the number is the next one's then: what reads and writes goes by what the object says.
#pragma once

#include "interp/gil.h"

struct _object;

namespace coloop::io {

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}

  // From now on it is that of a socket.socket, to which a reference is held; of any other object
  // nothing is known. GIL held.
  void FollowSocket(const interp::Gil& gil, _object* socket);
  void Forget() { field_ = nullptr; }
  [[nodiscard]] bool follows() const { return field_ != nullptr; }

  // -1 when the socket object has none any more.
  [[nodiscard]] int live() const { return field_ != nullptr ? *field_ : number_; }

 private:
  const int number_;
  const int* field_ = nullptr;  // in the socket object
};

}  // namespace coloop::io
