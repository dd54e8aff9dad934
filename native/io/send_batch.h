// Datagrams that go out by one system call.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "interp/ref.h"
#include "io/address.h"

namespace coloop::io {

class SendBatch {
 public:
  struct Entry {
    interp::Owned data;  // a bytes object
    interp::Owned to;    // what stands for the target
    Address target;
  };
  static constexpr std::size_t kSize = 16;
  using Entries = std::array<Entry, kSize>;

  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] bool full() const { return size_ == kSize; }
  // Whether the first has waited for some microseconds.
  [[nodiscard]] bool IsOld() const;

  void Add(_object* data, _object* to, const Address& target);
  // Sends as many as the kernel takes, and empties it. What it did not take comes into `left`; how
  // many those are.
  [[nodiscard]] std::size_t Send(int fd, Entries* left);

 private:
  Entries entries_;
  std::size_t size_ = 0;
  std::uint64_t began_ = 0;
};

}  // namespace coloop::io
