// The writing half of a stream transport.
#include <Python.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "interp/error.h"
#include "interp/gil.h"
#include "interp/ref.h"
#include "io/names.h"
#include "io/stream.h"
#include "io/transport.h"
#include "loop/loop.h"

namespace coloop::io {

using interp::Gil;
using interp::Owned;

namespace {

// Writes that wait for the end of their callback; more than this goes out at once.
constexpr std::size_t kMaxDeferred = std::size_t{64} * 1024;
constexpr std::size_t kVectors = 64;

ssize_t SendVectors(int fd, bool pipe, iovec* vectors, std::size_t count) {
  if (pipe) return writev(fd, vectors, static_cast<int>(count));
  constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
  if (count == 1) return send(fd, vectors->iov_base, vectors->iov_len, kFlags);
  msghdr message{};
  message.msg_iov = vectors;
  message.msg_iovlen = count;
  return sendmsg(fd, &message, kFlags);
}

}  // namespace

// Whether the callback that runs is likely to write again.
bool Stream::MayWait() {
  const std::uint64_t callback = loop_.callbacks();
  const bool again = std::exchange(wrote_in_, callback) == callback;
  const bool many = writes_ > 1;
  writes_ = again ? writes_ + 1 : 1;
  return again || many;
}

bool Stream::Write(const Gil& gil, Owned bytes) {
  const bool waits = !buffer_.empty();
  buffer_.Append(std::move(bytes));
  return Added(gil, waits);
}

bool Stream::WriteAll(const Gil& gil, std::vector<Owned> parts) {
  const bool waits = !buffer_.empty();
  for (Owned& bytes : parts) buffer_.Append(std::move(bytes));
  return Added(gil, waits);
}

// Sends what was appended, or lets it wait, as what was there before does.
bool Stream::Added(const Gil& gil, bool waits) {
  if (blocked_) return MaybePause(gil);
  if (is_pipe()) return Send(gil) && (buffer_.empty() || MaybePause(gil));
  const bool may_wait = MayWait();
  if (buffer_.size() <= kMaxDeferred && (waits || (may_wait && loop_.FlushLater(*this)))) {
    return true;
  }
  return Send(gil) && (buffer_.empty() || MaybePause(gil));
}

bool Stream::Send(const Gil& gil) {
  std::array<iovec, kVectors> vectors;
  while (!buffer_.empty()) {
    const std::size_t count = buffer_.Fill(vectors.data(), kVectors);
    const ssize_t sent = SendVectors(descriptor_.live(), is_pipe(), vectors.data(), count);
    if (sent >= 0) {
      buffer_.Consume(static_cast<std::size_t>(sent));
      continue;
    }
    if (errno == EINTR) continue;
    if (WouldBlock(errno)) {
      blocked_ = true;
      if (medium_ == Medium::kWriteDevice && !attached_ && !starting_) return Begin(gil);
      if (attached_) loop_.WatchWritable(watched_, true);
      UpdateHold();
      return true;
    }
    PyErr_SetFromErrno(PyExc_OSError);
    buffer_.Clear();
    ++dropped_writes;
    const Owned exception = interp::TakeException(gil);
    interp::RaiseException(gil, exception.get());
    if (!Fail(gil, is_pipe() ? "Fatal write error on pipe transport"
                             : "Fatal write error on socket transport")) {
      return false;
    }
    if (!empty_waiter) return true;
    const Owned waiter = Owned::NewRef(empty_waiter.get());
    const Owned set(PyObject_CallMethod(waiter.get(), "set_exception", "O", exception.get()));
    return static_cast<bool>(set);
  }
  return true;
}

bool Stream::WriteReady(const Gil& gil) {
  if (lost_writes > 0) return true;
  blocked_ = false;
  if (!Send(gil)) return false;
  if (lost_writes > 0) return true;
  if (!MaybeResume(gil)) return false;  // may write more
  if (!SendPending(gil)) return false;
  if (blocked_ || lost_writes > 0 || !buffer_.empty()) return true;
  if (medium_ == Medium::kWriteDevice) {
    Detach();
  } else {
    loop_.WatchWritable(watched_, false);
  }
  UpdateHold();
  if (empty_waiter) {
    const Owned waiter = Owned::NewRef(empty_waiter.get());
    const Owned set(PyObject_CallMethod(waiter.get(), "set_result", "O", Py_None));
    if (!set) return false;
  }
  if (closing) return LoseConnection(gil, Py_None);
  if (eof) shutdown(descriptor_.live(), SHUT_WR);
  return true;
}

bool Stream::MaybePause(const Gil& gil) {
  if (protocol_paused || !protocol || buffer_.size() <= high_water) return true;
  protocol_paused = true;
  return TellOfFlow(gil, object(), protocol, Names().pause_writing);
}

bool Stream::MaybeResume(const Gil& gil) {
  if (!protocol_paused || !protocol || buffer_.size() > low_water) return true;
  protocol_paused = false;
  return TellOfFlow(gil, object(), protocol, Names().resume_writing);
}

bool Stream::WriteEof(const Gil& gil) {
  if (closing || eof) return true;
  if (!SendPending(gil)) return false;
  eof = true;
  if (!buffer_.empty() || lost_writes > 0) return true;
  if (shutdown(descriptor_.live(), SHUT_WR) == 0) return true;
  PyErr_SetFromErrno(PyExc_OSError);
  return false;
}

}  // namespace coloop::io
