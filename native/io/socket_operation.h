// One sock_* call, as the channel of its socket serves it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "interp/ref.h"
#include "io/address.h"
#include "loop/loop.h"

namespace coloop::io {

struct Readiness {
  bool drained = false;  // there is nothing more to read, or no room to write
  bool brief = false;    // a read brought less than it had room for
  bool many = false;     // the last read brought much
};

// One sock_* call: what it does each time its socket may be ready.
class Operation {
 public:
  // kGoesOn: it has done much, and there may be more to do at once.
  enum class State { kWaits, kGoesOn, kDone, kFailed };

  Operation() = default;
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  virtual ~Operation() = default;

  // Whether it is tried only when an event says that its socket is ready.
  [[nodiscard]] virtual bool waits_first() const { return false; }
  // It was not tried at once.
  virtual void Pause() {}
  // kFailed with an exception set.
  [[nodiscard]] virtual State Try(loop::Loop& loop, int fd, Readiness* readiness) = 0;
  // What it holds that may have a part in a cycle.
  virtual int Traverse(int (* /*visit*/)(_object*, void*), void* /*argument*/) const { return 0; }
  // It has its result from the start, and is not tried.
  [[nodiscard]] bool is_done() const { return static_cast<bool>(result_); }
  [[nodiscard]] interp::Owned TakeResult() { return std::move(result_); }

 protected:
  // What a system call that failed makes of it.
  [[nodiscard]] static State Fail(int error, Readiness* readiness);
  // Steals the result; null: an exception is set.
  [[nodiscard]] State Finish(_object* result) {
    result_ = interp::Owned(result);
    return result_ ? State::kDone : State::kFailed;
  }

 private:
  interp::Owned result_;
};

// sock_recv: bytes; `from`: sock_recvfrom, a pair of them and where they came from.
[[nodiscard]] std::unique_ptr<Operation> MakeReceive(std::size_t size, bool from);
// sock_recv_into: an int; null with an exception set.
[[nodiscard]] std::unique_ptr<Operation> MakeReceiveInto(_object* buffer);
// sock_recvfrom_into: a pair of an int and where it came from; null with an exception set.
// `size`: how much of the buffer is used, 0: all.
[[nodiscard]] std::unique_ptr<Operation> MakeReceiveFromInto(_object* buffer, std::size_t size);
// sock_sendall: None; null with an exception set.
[[nodiscard]] std::unique_ptr<Operation> MakeSendAll(_object* data);
// sock_sendto: an int; null with an exception set.
[[nodiscard]] std::unique_ptr<Operation> MakeSendTo(_object* data, const Address& to);
// sock_sendfile of `count` bytes from `offset` on, or up to the file's end: an int. The file's
// position is after what was sent whenever Python runs; if nothing could be sent, it fails with
// asyncio's SendfileNotAvailableError.
[[nodiscard]] std::unique_ptr<Operation> MakeSendFile(int file, std::int64_t offset,
                                                      std::uint64_t count);
// sock_accept: a tuple of the connection and its address, by the socket object's own method.
[[nodiscard]] std::unique_ptr<Operation> MakeAccept(_object* socket);
// The end of a connect() to `address` that goes on in the kernel: None.
[[nodiscard]] std::unique_ptr<Operation> MakeConnect(_object* address);

}  // namespace coloop::io
