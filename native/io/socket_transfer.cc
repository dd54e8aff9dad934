// The calls that move data: in one piece, to and from addresses, and of files.
#include <Python.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>

#include "interp/gil.h"
#include "interp/ref.h"
#include "io/address.h"
#include "io/names.h"
#include "io/socket_operation.h"
#include "io/transport.h"
#include "loop/loop.h"

namespace coloop::io {

using interp::Gil;
using interp::Owned;

namespace {

// One turn sends no more of a file: others have theirs.
constexpr std::size_t kFileTurn = std::size_t{4} * 1024 * 1024;

// A buffer of the user's, held while an operation is under way.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { Close(); }

  // False with an exception set.
  [[nodiscard]] bool Open(PyObject* object, int flags) {
    return PyObject_GetBuffer(object, &view_, flags) == 0;
  }
  void Close() {
    if (view_.obj != nullptr) PyBuffer_Release(&view_);
  }
  [[nodiscard]] bool is_open() const { return view_.obj != nullptr; }
  [[nodiscard]] char* data() const { return static_cast<char*>(view_.buf); }
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(view_.len); }
  int Traverse(visitproc visit, void* arg) const {
    Py_VISIT(view_.obj);
    return 0;
  }

 private:
  Py_buffer view_{};
};

// Where it came from, for those who ask: a null address receives without one.
ssize_t ReceiveFrom(int fd, char* into, std::size_t room, Address* from) {
  if (from == nullptr) return recv(fd, into, room, MSG_DONTWAIT);
  from->length = sizeof(from->storage);
  return recvfrom(fd, into, room, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from->storage),
                  &from->length);
}

// A pair of what was received, which it takes, and where it came from; null with an exception set.
PyObject* WithAddress(PyObject* received, const Address& from) {
  const Owned first(received);
  if (!first) return nullptr;
  const Owned address = ToPython(Gil::FromPython(), from);
  return address ? PyTuple_Pack(2, first.get(), address.get()) : nullptr;
}

class Receive final : public Operation {
 public:
  Receive(std::size_t size, bool from) : size_(size), from_(from) {
    // Like the socket's own recv(), which asks the kernel for nothing then.
    if (size == 0 && !from) (void)Finish(PyBytes_FromStringAndSize(nullptr, 0));
  }

  State Try(loop::Loop& loop, int fd, Readiness* readiness) override {
    const bool direct = readiness->many && size_ >= kManyBytes;
    const std::size_t room = std::min(size_, direct ? kDirectBytes : loop::Loop::kScratchSize);
    PyObject* bytes = nullptr;
    if (direct) {
      bytes = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(room));
      if (bytes == nullptr) return State::kFailed;
    }
    char* into = direct ? PyBytes_AS_STRING(bytes) : loop.Scratch();
    Address from;
    const ssize_t got = ReceiveFrom(fd, into, room, from_ ? &from : nullptr);
    if (got < 0) {
      const int error = errno;
      Py_XDECREF(bytes);
      return Fail(error, readiness);
    }
    readiness->brief = static_cast<std::size_t>(got) < room;
    readiness->many = static_cast<std::size_t>(got) >= kManyBytes;
    if (!direct) {
      bytes = PyBytes_FromStringAndSize(into, got);
    } else if (_PyBytes_Resize(&bytes, got) != 0) {
      return State::kFailed;
    }
    return Finish(from_ ? WithAddress(bytes, from) : bytes);
  }

 private:
  std::size_t size_;
  bool from_;
};

// The buffer is held while data is received into it, not while the call waits: it may change.
class ReceiveInto final : public Operation {
 public:
  // `size`: how much of the buffer is used; 0: all.
  ReceiveInto(PyObject* object, bool from, std::size_t size)
      : object_(Owned::NewRef(object)), from_(from), limit_(size) {}

  // Also what a buffer of no size makes of it. False with an exception set.
  [[nodiscard]] bool Open() {
    if (!buffer_.Open(object_.get(), PyBUF_WRITABLE)) {
      PyErr_Format(PyExc_TypeError, "%s() argument 1 must be read-write bytes-like object, not %s",
                   from_ ? "recvfrom_into" : "recv_into",
                   object_.get() == Py_None ? "None" : Py_TYPE(object_.get())->tp_name);
      return false;
    }
    if (limit_ > buffer_.size()) {
      PyErr_SetString(PyExc_ValueError, "nbytes is greater than the length of the buffer");
      return false;
    }
    return buffer_.size() > 0 || from_ || Finish(PyLong_FromLong(0)) == State::kDone;
  }

  State Try(loop::Loop&, int fd, Readiness* readiness) override {
    if (!buffer_.is_open() && !Open()) return State::kFailed;
    const State state = is_done() ? State::kDone : Receive(fd, readiness);
    buffer_.Close();
    return state;
  }
  void Pause() override { buffer_.Close(); }
  int Traverse(visitproc visit, void* arg) const override {
    Py_VISIT(object_.get());
    return buffer_.Traverse(visit, arg);
  }

 private:
  State Receive(int fd, Readiness* readiness) {
    const std::size_t room = limit_ > 0 ? limit_ : buffer_.size();
    Address from;
    const ssize_t got = ReceiveFrom(fd, buffer_.data(), room, from_ ? &from : nullptr);
    if (got < 0) return Fail(errno, readiness);
    readiness->brief = static_cast<std::size_t>(got) < room;
    PyObject* count = PyLong_FromSsize_t(got);
    return Finish(from_ ? WithAddress(count, from) : count);
  }

  Owned object_;
  Buffer buffer_;
  bool from_;
  std::size_t limit_;
};

class SendAll final : public Operation {
 public:
  [[nodiscard]] bool Open(PyObject* data) { return buffer_.Open(data, PyBUF_SIMPLE); }

  State Try(loop::Loop&, int fd, Readiness* readiness) override {
    do {
      const ssize_t sent =
          send(fd, buffer_.data() + sent_, buffer_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) return Fail(errno, readiness);
      sent_ += static_cast<std::size_t>(sent);
    } while (sent_ < buffer_.size());
    return Finish(Owned::NewRef(Py_None).release());
  }
  int Traverse(visitproc visit, void* arg) const override { return buffer_.Traverse(visit, arg); }

 private:
  Buffer buffer_;
  std::size_t sent_ = 0;
};

class SendTo final : public Operation {
 public:
  explicit SendTo(const Address& to) : to_(to) {}

  [[nodiscard]] bool Open(PyObject* data) { return buffer_.Open(data, PyBUF_SIMPLE); }

  State Try(loop::Loop&, int fd, Readiness* readiness) override {
    ssize_t sent = -1;
    do {
      sent = sendto(fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                    reinterpret_cast<const sockaddr*>(&to_.storage), to_.length);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) return Fail(errno, readiness);
    return Finish(PyLong_FromSsize_t(sent));
  }
  int Traverse(visitproc visit, void* arg) const override { return buffer_.Traverse(visit, arg); }

 private:
  Buffer buffer_;
  Address to_;
};

// os.sendfile() until the count is reached, or the end of the file.
class SendFile final : public Operation {
 public:
  SendFile(int file, std::int64_t offset, std::uint64_t count)
      : file_(file), offset_(offset), left_(count) {}

  State Try(loop::Loop&, int fd, Readiness* readiness) override {
    std::size_t room = kFileTurn;
    while (left_ > 0 && room > 0) {
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, room));
      const ssize_t sent = sendfile(fd, file_, &offset_, size);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) return FileFailed(errno, readiness);
      if (sent == 0) return Settled();
      room -= static_cast<std::size_t>(sent);
      left_ -= static_cast<std::uint64_t>(sent);
      sent_ += static_cast<std::uint64_t>(sent);
    }
    if (left_ == 0) return Settled();
    KeepPosition();
    return State::kGoesOn;
  }

 private:
  // Where the file is read next, whenever control goes back to Python: a call may be cancelled.
  void KeepPosition() const {
    if (sent_ > 0) (void)lseek(file_, offset_, SEEK_SET);
  }

  State Settled() {
    KeepPosition();
    return Finish(PyLong_FromUnsignedLongLong(sent_));
  }

  State FileFailed(int error, Readiness* readiness) {
    KeepPosition();
    // What cannot be sent at all is for the caller to send otherwise, and to meet the socket's
    // errors.
    return sent_ > 0 || WouldBlock(error) ? Fail(error, readiness) : RaiseUnavailable();
  }

  static State RaiseUnavailable() {
    const Owned exceptions(PyImport_ImportModule("asyncio.exceptions"));
    const Owned type(exceptions
                         ? PyObject_GetAttrString(exceptions.get(), "SendfileNotAvailableError")
                         : nullptr);
    if (type) PyErr_SetString(type.get(), "os.sendfile call failed");
    return State::kFailed;
  }

  int file_;
  off_t offset_;
  std::uint64_t left_;
  std::uint64_t sent_ = 0;
};

// `operation` with its buffer; null with an exception set.
template <typename Kind, typename... Buffer>
std::unique_ptr<Operation> Opened(std::unique_ptr<Kind> operation, Buffer*... buffer) {
  if (!operation->Open(buffer...)) return nullptr;
  return operation;
}

}  // namespace

std::unique_ptr<Operation> MakeReceive(std::size_t size, bool from) {
  return std::make_unique<Receive>(size, from);
}

std::unique_ptr<Operation> MakeReceiveInto(PyObject* buffer) {
  return Opened(std::make_unique<ReceiveInto>(buffer, false, 0));
}

std::unique_ptr<Operation> MakeReceiveFromInto(PyObject* buffer, std::size_t size) {
  return Opened(std::make_unique<ReceiveInto>(buffer, true, size));
}

std::unique_ptr<Operation> MakeSendAll(PyObject* data) {
  return Opened(std::make_unique<SendAll>(), data);
}

std::unique_ptr<Operation> MakeSendTo(PyObject* data, const Address& to) {
  return Opened(std::make_unique<SendTo>(to), data);
}

std::unique_ptr<Operation> MakeSendFile(int file, std::int64_t offset, std::uint64_t count) {
  return std::make_unique<SendFile>(file, offset, count);
}

}  // namespace coloop::io
