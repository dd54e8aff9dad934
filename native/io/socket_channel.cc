#include "io/socket_channel.h"

#include <Python.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <deque>
#include <memory>
#include <utility>

#include "interp/error.h"
#include "interp/gil.h"
#include "interp/ref.h"
#include "io/names.h"
#include "io/socket_operation.h"
#include "io/transport.h"
#include "loop/channel.h"
#include "loop/loop.h"

namespace coloop::io {

using interp::Gil;
using interp::Owned;

namespace {

PyTypeObject* channel_type = nullptr;

// A buffer of the user's, held while an operation is under way.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    if (view_.obj != nullptr) PyBuffer_Release(&view_);
  }

  // False with an exception set.
  [[nodiscard]] bool Open(PyObject* object, int flags) {
    return PyObject_GetBuffer(object, &view_, flags) == 0;
  }
  [[nodiscard]] char* data() const { return static_cast<char*>(view_.buf); }
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(view_.len); }

 private:
  Py_buffer view_{};
};

class Receive final : public Operation {
 public:
  explicit Receive(std::size_t size) : size_(size) {}

  State Try(loop::Loop& loop, int fd, Readiness* readiness) override {
    const bool direct = readiness->many && size_ >= kManyBytes;
    const std::size_t room = std::min(size_, direct ? kDirectBytes : loop::Loop::kScratchSize);
    PyObject* bytes = nullptr;
    if (direct) {
      bytes = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(room));
      if (bytes == nullptr) return State::kFailed;
    }
    char* into = direct ? PyBytes_AS_STRING(bytes) : loop.Scratch();
    const ssize_t got = recv(fd, into, room, MSG_DONTWAIT);
    if (got < 0) {
      const int error = errno;
      Py_XDECREF(bytes);
      return Fail(error, readiness);
    }
    readiness->drained = static_cast<std::size_t>(got) < room;
    readiness->many = static_cast<std::size_t>(got) >= kManyBytes;
    if (!direct) return Finish(PyBytes_FromStringAndSize(into, got));
    return _PyBytes_Resize(&bytes, got) == 0 ? Finish(bytes) : State::kFailed;
  }

 private:
  std::size_t size_;
};

class ReceiveInto final : public Operation {
 public:
  [[nodiscard]] bool Open(PyObject* buffer) { return buffer_.Open(buffer, PyBUF_WRITABLE); }

  State Try(loop::Loop&, int fd, Readiness* readiness) override {
    const ssize_t got = recv(fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got < 0) return Fail(errno, readiness);
    readiness->drained = static_cast<std::size_t>(got) < buffer_.size();
    return Finish(PyLong_FromSsize_t(got));
  }

 private:
  Buffer buffer_;
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

 private:
  Buffer buffer_;
  std::size_t sent_ = 0;
};

struct Waiter {
  Owned future;
  std::unique_ptr<Operation> operation;
};

class SocketChannel final : public loop::Channel {
 public:
  SocketChannel(PyObject* self, PyObject* loop_object, loop::Loop& native, int descriptor)
      : Channel(self), loop_object_(Owned::NewRef(loop_object)), loop_(native), fd_(descriptor) {}

  [[nodiscard]] Kind kind() const override { return Kind::kSocket; }
  [[nodiscard]] bool passive() const override { return true; }
  [[nodiscard]] bool IsOf(PyObject* socket) const {
#if PY_VERSION_HEX >= 0x030D0000
    PyObject* target = nullptr;
    PyWeakref_GetRef(weak_.get(), &target);
    return Owned(target).get() == socket;
#else
    return PyWeakref_GetObject(weak_.get()) == socket;
#endif
  }
  [[nodiscard]] bool Attach(PyObject* weak) {
    weak_ = Owned(weak);
    if (loop_.Attach(fd_, *this)) return true;
    PyErr_SetFromErrno(PyExc_OSError);
    return false;
  }
  // The socket object is gone.
  void Stop() {
    if (fd_ >= 0) loop_.Detach(std::exchange(fd_, -1), *this, true);
  }

  void Note(unsigned events) override {
    if ((events & kHungUp) != 0) hung_up_ = true;
    if ((events & (kReadable | kHungUp)) != 0) readable_ = true;
    if ((events & kWritable) != 0) writable_ = true;
  }
  [[nodiscard]] bool Run(const Gil& gil) override {
    if (readable_ && !Serve(gil, &readers_, &readable_)) return false;
    if (!writable_) return true;
    if (!Serve(gil, &writers_, &writable_)) return false;
    if (writers_.empty() && fd_ >= 0) loop_.WatchWritable(fd_, false);
    return true;
  }
  [[nodiscard]] bool Flush(const Gil&) override { return true; }
  void Dropped() override { fd_ = -1; }

  // The result of a call: of the operation, or the Future of one that waits. Null with an exception
  // set.
  [[nodiscard]] Owned Call(const Gil& gil, std::unique_ptr<Operation> operation, bool writes) {
    std::deque<Waiter>& queue = writes ? writers_ : readers_;
    bool& ready = writes ? writable_ : readable_;
    if (operation->waits_first()) {
      ready = false;
    } else if (queue.empty() && ready) {
      switch (TryOnce(*operation, writes)) {
        case Operation::State::kDone:
          return operation->TakeResult();
        case Operation::State::kFailed:
          return Owned();
        case Operation::State::kWaits:
          break;
      }
    }
    return Wait(gil, std::move(operation), writes);
  }

  int Traverse(visitproc visit, void* arg) const {
    Py_VISIT(loop_object_.get());
    for (const auto* queue : {&readers_, &writers_}) {
      for (const Waiter& waiter : *queue) Py_VISIT(waiter.future.get());
    }
    return 0;
  }

 private:
  Operation::State TryOnce(Operation& operation, bool writes) {
    readiness_.drained = false;
    const Operation::State state = operation.Try(loop_, fd_, &readiness_);
    // After the peer's end a short read is not the last one.
    if (readiness_.drained && (writes || !hung_up_ || state == Operation::State::kWaits)) {
      (writes ? writable_ : readable_) = false;
    }
    return state;
  }

  [[nodiscard]] Owned Wait(const Gil&, std::unique_ptr<Operation> operation, bool writes) {
    Owned future(PyObject_CallMethodNoArgs(loop_object_.get(), Names().create_future));
    if (!future) return Owned();
    if (loop_.hosted()) {
      const Owned kept(
          PyObject_CallMethod(loop_object_.get(), "_keep_host_until", "O", future.get()));
      if (!kept) return Owned();
    }
    // Reports at once if it has become writable meanwhile.
    if (writes && writers_.empty()) loop_.WatchWritable(fd_, true);
    (writes ? writers_ : readers_)
        .push_back(Waiter{Owned::NewRef(future.get()), std::move(operation)});
    if (writes ? writable_ : readable_) loop_.Queue(*this);
    return future;
  }

  // First come, first served. A cancelled call has read nothing and sent no more.
  [[nodiscard]] bool Serve(const Gil& gil, std::deque<Waiter>* queue, const bool* ready) {
    const bool writes = queue == &writers_;
    while (!queue->empty() && *ready && fd_ >= 0) {
      const Owned done(PyObject_CallMethodNoArgs(queue->front().future.get(), Names().done));
      if (!done) return false;
      if (done.get() == Py_True) {
        const Waiter cancelled = Pop(queue);
        continue;
      }
      const Operation::State state = TryOnce(*queue->front().operation, writes);
      if (state == Operation::State::kWaits) continue;
      const Waiter waiter = Pop(queue);
      if (!Settle(gil, waiter, state)) return false;
    }
    return true;
  }

  [[nodiscard]] static Waiter Pop(std::deque<Waiter>* queue) {
    Waiter waiter = std::move(queue->front());
    queue->pop_front();
    return waiter;
  }

  [[nodiscard]] static bool Settle(const Gil& gil, const Waiter& waiter, Operation::State state) {
    PyObject* future = waiter.future.get();
    if (state == Operation::State::kDone) {
      const Owned result = waiter.operation->TakeResult();
      const Owned set(PyObject_CallMethodOneArg(future, Names().set_result, result.get()));
      return static_cast<bool>(set);
    }
    const Owned exception = interp::TakeException(gil);
    const Owned set(PyObject_CallMethodOneArg(future, Names().set_exception, exception.get()));
    return static_cast<bool>(set);
  }

  Owned loop_object_;
  loop::Loop& loop_;
  Owned weak_;  // of the socket object
  int fd_;
  bool readable_ = true;  // as far as is known
  bool writable_ = true;
  bool hung_up_ = false;
  Readiness readiness_;
  std::deque<Waiter> readers_;
  std::deque<Waiter> writers_;
};

// The Python object that a channel is part of.

struct ChannelObject {
  PyObject_HEAD SocketChannel* channel;
};

SocketChannel* Find(PyObject* self) { return reinterpret_cast<ChannelObject*>(self)->channel; }

// Called with the dead weak reference.
PyObject* SocketGone(PyObject* self, PyObject*) {
  const Owned held = Owned::NewRef(self);
  if (Find(self) != nullptr) Find(self)->Stop();
  Py_RETURN_NONE;
}

int Traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  return Find(self) != nullptr ? Find(self)->Traverse(visit, arg) : 0;
}

void Dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  delete std::exchange(reinterpret_cast<ChannelObject*>(self)->channel, nullptr);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef channel_methods[] = {
    {"_socket_gone", SocketGone, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot channel_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(Dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(Traverse)},
    {Py_tp_methods, channel_methods},
    {0, nullptr},
};

PyType_Spec channel_spec = {
    "_coloop.SocketChannel", sizeof(ChannelObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, channel_slots};

// The channel of `socket` on this loop, made and attached if need be. Null with an exception set.
SocketChannel* ChannelOf(PyObject* loop_object, loop::Loop& loop, PyObject* socket, int fd) {
  loop::Channel* existing = loop.FindChannel(fd);
  if (existing != nullptr && Py_TYPE(existing->object()) == channel_type) {
    auto* channel = static_cast<SocketChannel*>(existing);
    if (channel->IsOf(socket)) return channel;
  } else if (existing != nullptr) {
    // A transport's: asyncio's error, unless it is closing.
    const Owned checked(PyObject_CallMethod(loop_object, "_ensure_fd_no_transport", "O", socket));
    if (!checked) return nullptr;
  }
  const Owned self(channel_type->tp_alloc(channel_type, 0));
  if (!self) return nullptr;
  auto* channel = new SocketChannel(self.get(), loop_object, loop, fd);
  reinterpret_cast<ChannelObject*>(self.get())->channel = channel;
  const Owned gone(PyObject_GetAttrString(self.get(), "_socket_gone"));
  PyObject* weak = gone ? PyWeakref_NewRef(socket, gone.get()) : nullptr;
  return weak != nullptr && channel->Attach(weak) ? channel : nullptr;
}

// An operation on a socket: tried at once, and only one that must wait makes the channel.
PyObject* Perform(PyObject* loop_object, PyObject* socket, std::unique_ptr<Operation> operation,
                  bool writes) {
  const Gil gil = Gil::FromPython();
  loop::Loop* loop = loop::Loop::From(gil, loop_object);
  const Owned number(PyObject_CallMethodNoArgs(socket, Names().fileno));
  const long fd = number ? PyLong_AsLong(number.get()) : -1;
  if (fd == -1 && PyErr_Occurred() != nullptr) return nullptr;
  if (loop == nullptr || loop->closed) {
    PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
    return nullptr;
  }
  if (fd < 0) {
    errno = EBADF;  // the socket is closed
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  loop::Channel* existing = loop->FindChannel(static_cast<int>(fd));
  if (existing == nullptr && !operation->waits_first()) {
    Readiness readiness;
    const Operation::State state = operation->Try(*loop, static_cast<int>(fd), &readiness);
    if (state == Operation::State::kDone) return operation->TakeResult().release();
    if (state == Operation::State::kFailed) return nullptr;
  }
  SocketChannel* channel = ChannelOf(loop_object, *loop, socket, static_cast<int>(fd));
  if (channel == nullptr) return nullptr;
  const Owned held = Owned::NewRef(channel->object());
  return channel->Call(gil, std::move(operation), writes).release();
}

// sock_recv(loop, sock, n) -> bytes, or a Future of them
PyObject* SockRecv(PyObject*, PyObject* args) {
  PyObject* loop = nullptr;
  PyObject* socket = nullptr;
  Py_ssize_t size = 0;
  if (PyArg_ParseTuple(args, "OOn", &loop, &socket, &size) == 0) return nullptr;
  if (size < 0) {
    PyErr_SetString(PyExc_ValueError, "negative buffersize in recv");
    return nullptr;
  }
  return Perform(loop, socket, std::make_unique<Receive>(static_cast<std::size_t>(size)), false);
}

// sock_recv_into(loop, sock, buf) -> int, or a Future of it
PyObject* SockRecvInto(PyObject*, PyObject* args) {
  PyObject* loop = nullptr;
  PyObject* socket = nullptr;
  PyObject* buffer = nullptr;
  if (PyArg_ParseTuple(args, "OOO", &loop, &socket, &buffer) == 0) return nullptr;
  auto operation = std::make_unique<ReceiveInto>();
  if (!operation->Open(buffer)) return nullptr;
  return Perform(loop, socket, std::move(operation), false);
}

// sock_sendall(loop, sock, data) -> None, or a Future of it
PyObject* SockSendAll(PyObject*, PyObject* args) {
  PyObject* loop = nullptr;
  PyObject* socket = nullptr;
  PyObject* data = nullptr;
  if (PyArg_ParseTuple(args, "OOO", &loop, &socket, &data) == 0) return nullptr;
  auto operation = std::make_unique<SendAll>();
  if (!operation->Open(data)) return nullptr;
  return Perform(loop, socket, std::move(operation), true);
}

// sock_accept(loop, sock) -> (connection, address), or a Future of them
PyObject* SockAccept(PyObject*, PyObject* args) {
  PyObject* loop = nullptr;
  PyObject* socket = nullptr;
  if (PyArg_ParseTuple(args, "OO", &loop, &socket) == 0) return nullptr;
  return Perform(loop, socket, MakeAccept(socket), false);
}

// sock_connected(loop, sock, address) -> None, or a Future of it
PyObject* SockConnected(PyObject*, PyObject* args) {
  PyObject* loop = nullptr;
  PyObject* socket = nullptr;
  PyObject* address = nullptr;
  if (PyArg_ParseTuple(args, "OOO", &loop, &socket, &address) == 0) return nullptr;
  return Perform(loop, socket, MakeConnect(address), true);
}

PyMethodDef functions[] = {
    {"sock_recv", SockRecv, METH_VARARGS, "sock_recv(loop, sock, n): bytes, or a Future."},
    {"sock_recv_into", SockRecvInto, METH_VARARGS,
     "sock_recv_into(loop, sock, buf): int, or a Future."},
    {"sock_sendall", SockSendAll, METH_VARARGS,
     "sock_sendall(loop, sock, data): None, or a Future."},
    {"sock_accept", SockAccept, METH_VARARGS,
     "sock_accept(loop, sock): (connection, address), or a Future."},
    {"sock_connected", SockConnected, METH_VARARGS,
     "sock_connected(loop, sock, address): None, or a Future, when its connect() is done."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

bool AddSocketFunctions(const Gil&, PyObject* module) {
  channel_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&channel_spec));
  return channel_type != nullptr && PyModule_AddType(module, channel_type) == 0 &&
         PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace coloop::io
