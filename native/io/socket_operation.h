// One sock_* call, as the channel of its socket serves it.
#pragma once

#include <memory>
#include <utility>

#include "interp/ref.h"
#include "loop/loop.h"

namespace coloop::io {

struct Readiness {
  bool drained = false;  // there is nothing more to read, or no room to write
  bool many = false;     // the last read brought much
};

// One sock_* call: what it does each time its socket may be ready.
class Operation {
 public:
  enum class State { kWaits, kDone, kFailed };

  Operation() = default;
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  virtual ~Operation() = default;

  // Whether it is tried only when an event says that its socket is ready.
  [[nodiscard]] virtual bool waits_first() const { return false; }
  // kFailed with an exception set.
  [[nodiscard]] virtual State Try(loop::Loop& loop, int fd, Readiness* readiness) = 0;
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

// sock_accept: a tuple of the connection and its address, by the socket object's own method.
[[nodiscard]] std::unique_ptr<Operation> MakeAccept(_object* socket);
// The end of a connect() to `address` that goes on in the kernel: None.
[[nodiscard]] std::unique_ptr<Operation> MakeConnect(_object* address);

}  // namespace coloop::io
