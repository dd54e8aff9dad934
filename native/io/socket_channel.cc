#include "io/socket_channel.h"

#include <Python.h>
#include <netinet/in.h>  // NOLINT(misc-include-cleaner): IPPROTO_TCP
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <deque>
#include <memory>
#include <utility>

#include "interp/error.h"
#include "interp/gil.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"
#include "io/descriptor.h"
#include "io/names.h"
#include "io/socket_operation.h"
#include "io/transport.h"
#include "loop/channel.h"
#include "loop/loop.h"

namespace coloop::io {

using interp::Gil;
using interp::Owned;

namespace {

struct ChannelState {
  PyTypeObject* type = nullptr;
  PyObject* get_weak_references = nullptr;
};
interp::PerInterpreter<ChannelState> state;

struct Waiter {
  Owned future;
  std::unique_ptr<Operation> operation;
};

// The descriptor of a socket object, -1 once it is closed or detached. False with an exception set.
bool ReadFileno(PyObject* socket, int* fd) {
  const Owned number(PyObject_CallMethodNoArgs(socket, Names().fileno));
  const long value = number ? PyLong_AsLong(number.get()) : -1;
  *fd = static_cast<int>(value);
  return value != -1 || PyErr_Occurred() == nullptr;
}

void RaiseBadDescriptor() {
  errno = EBADF;
  PyErr_SetFromErrno(PyExc_OSError);
}

class SocketChannel final : public loop::Channel {
 public:
  SocketChannel(PyObject* self, PyObject* loop_object, loop::Loop& native, int descriptor)
      : Channel(self),
        loop_object_(Owned::NewRef(loop_object)),
        loop_(native),
        descriptor_(descriptor),
        fd_(descriptor) {}

  [[nodiscard]] Kind kind() const override { return Kind::kSocket; }
  [[nodiscard]] bool passive() const override { return true; }
  // Told again and again, it has nothing new once it knows.
  [[nodiscard]] bool level() const override { return !readable_; }
  void Shared(bool shared) override { shared_ = shared; }
  [[nodiscard]] bool IsOf(const PyObject* socket) const { return Socket().get() == socket; }
  [[nodiscard]] bool Serves(const loop::Loop& loop) const { return &loop == &loop_ && fd_ >= 0; }
  [[nodiscard]] bool Attach(const Gil& gil, PyObject* socket, PyObject* weak) {
    weak_ = Owned(weak);
    descriptor_.FollowSocket(gil, socket);
    int type = 0;
    socklen_t length = sizeof(type);
    is_tcp_ = getsockopt(fd_, SOL_SOCKET, SO_PROTOCOL, &type, &length) == 0 && type == IPPROTO_TCP;
    if (loop_.Attach(fd_, *this)) return true;
    PyErr_SetFromErrno(PyExc_OSError);
    fd_ = -1;
    weak_.reset();
    return false;
  }
  // The socket object is gone.
  void Stop() {
    if (fd_ < 0) return;
    const int fd = fd_;
    Dropped();
    loop_.Detach(fd, *this, true);
  }

  void Note(unsigned events) override {
    if ((events & kHungUp) != 0) hung_up_ = true;
    if ((events & kUrgent) != 0) urgent_ = true;
    if ((events & (kReadable | kHungUp)) != 0) SetReadable(true);
    if ((events & kWritable) != 0) writable_ = true;
  }
  [[nodiscard]] bool Run(const Gil& gil) override {
    if (readable_ && !Serve(gil, &readers_, &readable_)) return false;
    if (!writable_) return true;
    if (!Serve(gil, &writers_, &writable_)) return false;
    if (writers_.empty() && fd_ >= 0) WatchWritable(false);
    return true;
  }
  [[nodiscard]] bool Flush(const Gil&) override { return true; }
  void Dropped() override {
    fd_ = -1;
    // What still waits keeps no host alive any more: nothing will come.
    for (std::size_t i = readers_.size() + writers_.size(); i > 0; --i) loop_.EndWait();
    weak_.reset();  // which has this, and so the loop
  }

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
        case Operation::State::kGoesOn:
          break;
      }
    }
    return Wait(gil, std::move(operation), writes);
  }

  // Whoever waited for it does so no more.
  void Forget(const PyObject* future) {
    for (std::deque<Waiter>* queue : {&readers_, &writers_}) {
      const auto found = std::find_if(queue->begin(), queue->end(), [future](const Waiter& waiter) {
        return waiter.future.get() == future;
      });
      if (found == queue->end()) continue;
      const Waiter dropped = std::move(*found);
      queue->erase(found);
      if (fd_ >= 0) loop_.EndWait();
      return;
    }
  }

  int Traverse(visitproc visit, void* arg) const {
    Py_VISIT(loop_object_.get());
    Py_VISIT(weak_.get());
    for (const auto* queue : {&readers_, &writers_}) {
      for (const Waiter& waiter : *queue) {
        Py_VISIT(waiter.future.get());
        const int result = waiter.operation->Traverse(visit, arg);
        if (result != 0) return result;
      }
    }
    return 0;
  }

 private:
  // The socket object, or what stands for it once it is gone: none.
  [[nodiscard]] Owned Socket() const {
#if PY_VERSION_HEX >= 0x030D0000
    PyObject* target = nullptr;
    PyWeakref_GetRef(weak_.get(), &target);
    return Owned(target);
#else
    PyObject* target = PyWeakref_GetObject(weak_.get());
    return target != Py_None ? Owned::NewRef(target) : Owned();
#endif
  }

  // Closed or detached, it leaves its number to others.
  [[nodiscard]] bool HasDescriptor() const {
    const Owned socket = Socket();
    if (socket && descriptor_.follows()) return descriptor_.live() == fd_;
    int fd = -1;
    if (socket && !ReadFileno(socket.get(), &fd)) PyErr_Clear();
    return fd == fd_;
  }

  // As asyncio, which calls the socket's own method. What watches the number now stays watched.
  [[nodiscard]] bool GiveUp(const Gil& gil) {
    for (std::deque<Waiter>* queue : {&readers_, &writers_}) {
      while (!queue->empty()) {
        const Waiter waiter = Pop(queue);
        bool done = false;
        if (!IsDone(waiter, &done)) return false;
        if (done) continue;
        RaiseBadDescriptor();
        if (!Settle(gil, waiter, Operation::State::kFailed)) return false;
      }
    }
    Stop();
    return true;
  }

  Operation::State TryOnce(Operation& operation, bool writes) {
    readiness_.drained = readiness_.brief = false;
    const Operation::State state = operation.Try(loop_, fd_, &readiness_);
    // A short read leaves nothing behind of TCP: elsewhere a message or what comes along ends it.
    // But urgent data does, too, and after the peer's end there is that to read.
    const bool emptied = readiness_.brief && is_tcp_ && !urgent_ && !hung_up_;
    if (readiness_.drained || emptied) {
      if (writes) {
        writable_ = false;
      } else {
        SetReadable(false);
      }
    }
    return state;
  }

  void SetReadable(bool readable) {
    if (std::exchange(readable_, readable) != readable && shared_) loop_.UpdateChannel(fd_);
  }

  [[nodiscard]] Owned Wait(const Gil&, std::unique_ptr<Operation> operation, bool writes) {
    Owned future(PyObject_CallMethodNoArgs(loop_object_.get(), Names().create_future));
    if (!future) return Owned();
    operation->Pause();
    // Reports at once if it has become writable meanwhile.
    if (writes && writers_.empty()) WatchWritable(true);
    (writes ? writers_ : readers_)
        .push_back(Waiter{Owned::NewRef(future.get()), std::move(operation)});
    loop_.BeginWait();
    if (writes ? writable_ : readable_) loop_.Queue(*this);
    return future;
  }

  void WatchWritable(bool on) {
    if (!on && !watches_writable_) return;
    watches_writable_ = on;
    loop_.WatchWritable(fd_, on);
  }

  // First come, first served. A cancelled call has read nothing and sent no more.
  [[nodiscard]] bool Serve(const Gil& gil, std::deque<Waiter>* queue, const bool* ready) {
    const bool writes = queue == &writers_;
    while (!queue->empty() && *ready && fd_ >= 0) {
      bool done = false;
      if (!IsDone(queue->front(), &done)) return false;
      if (done) {
        const Waiter cancelled = Pop(queue);
        continue;
      }
      if (!HasDescriptor()) return GiveUp(gil);
      const Operation::State state = TryOnce(*queue->front().operation, writes);
      if (state == Operation::State::kWaits) continue;
      if (state == Operation::State::kGoesOn) {
        loop_.Queue(*this);
        return true;
      }
      const Waiter waiter = Pop(queue);
      if (!Settle(gil, waiter, state)) return false;
    }
    return true;
  }

  // False with an exception set.
  [[nodiscard]] static bool IsDone(const Waiter& waiter, bool* done) {
    const Owned answer(PyObject_CallMethodNoArgs(waiter.future.get(), Names().done));
    *done = answer.get() == Py_True;
    return static_cast<bool>(answer);
  }

  [[nodiscard]] Waiter Pop(std::deque<Waiter>* queue) {
    Waiter waiter = std::move(queue->front());
    queue->pop_front();
    if (fd_ >= 0) loop_.EndWait();
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
  Owned weak_;             // of the socket object, while the loop has this
  Descriptor descriptor_;  // read only while the socket object lives
  int fd_;
  bool readable_ = true;  // as far as is known
  bool writable_ = true;
  bool hung_up_ = false;
  bool is_tcp_ = false;
  bool urgent_ = false;  // urgent data has come
  bool watches_writable_ = false;
  bool shared_ = false;  // handles watch the descriptor, too
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

// The channel that serves this very socket object, or null.
SocketChannel* FindOf(const loop::Loop& loop, PyObject* socket, int fd) {
  loop::Channel* existing = loop.FindChannel(fd);
  if (existing == nullptr || Py_TYPE(existing->object()) != state->type) return nullptr;
  auto* channel = static_cast<SocketChannel*>(existing);
  return channel->IsOf(socket) ? channel : nullptr;
}

// The same of a socket that was closed or detached while it was served: its number tells nothing
// any more, but the channel's weak reference does. Null with an exception set, or if there is none.
SocketChannel* FindLeft(const loop::Loop& loop, PyObject* socket) {
  const Owned all(PyObject_CallOneArg(state->get_weak_references, socket));
  const Py_ssize_t count = all ? PyList_Size(all.get()) : 0;
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* weak = PyList_GetItem(all.get(), i);
    if (PyWeakref_CheckRef(weak) == 0) continue;  // a proxy, which has the socket's attributes
    const Owned callback(PyObject_GetAttrString(weak, "__callback__"));
    if (!callback || PyCFunction_Check(callback.get()) == 0) continue;
    PyObject* self = PyCFunction_GetSelf(callback.get());
    if (self == nullptr || Py_TYPE(self) != state->type) continue;
    if (Find(self)->Serves(loop)) return Find(self);
  }
  return nullptr;
}

// The channel of `socket` on this loop, made and attached if need be. Null with an exception set.
SocketChannel* ChannelOf(const Gil& gil, PyObject* loop_object, loop::Loop& loop, PyObject* socket,
                         int fd) {
  if (SocketChannel* existing = FindOf(loop, socket, fd); existing != nullptr) return existing;
  const loop::Channel* other = loop.FindChannel(fd);
  if (other != nullptr && Py_TYPE(other->object()) != state->type) {
    // A transport's: asyncio's error, unless it is closing.
    const Owned checked(PyObject_CallMethod(loop_object, "_ensure_fd_no_transport", "i", fd));
    if (!checked) return nullptr;
  }
  const Owned self(state->type->tp_alloc(state->type, 0));
  if (!self) return nullptr;
  auto* channel = new SocketChannel(self.get(), loop_object, loop, fd);
  reinterpret_cast<ChannelObject*>(self.get())->channel = channel;
  const Owned gone(PyObject_GetAttrString(self.get(), "_socket_gone"));
  PyObject* weak = gone ? PyWeakref_NewRef(socket, gone.get()) : nullptr;
  return weak != nullptr && channel->Attach(gil, socket, weak) ? channel : nullptr;
}

// The loop and the descriptor of a call's socket. False with an exception set.
bool Find(const Gil& gil, PyObject* loop_object, PyObject* socket, loop::Loop** loop, int* fd) {
  *loop = loop::Loop::From(gil, loop_object);
  return ReadFileno(socket, fd);
}

}  // namespace

PyObject* Perform(const Gil& gil, PyObject* loop_object, PyObject* socket,
                  std::unique_ptr<Operation> operation, bool writes) {
  loop::Loop* loop = nullptr;
  int fd = -1;
  if (operation == nullptr) return nullptr;
  if (operation->is_done()) return operation->TakeResult().release();
  if (!Find(gil, loop_object, socket, &loop, &fd)) return nullptr;
  if (loop == nullptr || loop->closed) {
    PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
    return nullptr;
  }
  if (fd < 0) {
    RaiseBadDescriptor();
    return nullptr;
  }
  if (loop->FindChannel(fd) == nullptr && !operation->waits_first()) {
    Readiness readiness;
    const Operation::State state = operation->Try(*loop, fd, &readiness);
    if (state == Operation::State::kDone) return operation->TakeResult().release();
    if (state == Operation::State::kFailed) return nullptr;
  }
  SocketChannel* channel = ChannelOf(gil, loop_object, *loop, socket, fd);
  if (channel == nullptr) return nullptr;
  const Owned held = Owned::NewRef(channel->object());
  return channel->Call(gil, std::move(operation), writes).release();
}

bool Forget(const Gil& gil, PyObject* loop_object, PyObject* socket, PyObject* future) {
  loop::Loop* loop = nullptr;
  int fd = -1;
  if (!Find(gil, loop_object, socket, &loop, &fd)) return false;
  SocketChannel* channel = loop != nullptr ? FindOf(*loop, socket, fd) : nullptr;
  if (channel == nullptr && loop != nullptr) channel = FindLeft(*loop, socket);
  if (channel == nullptr) return PyErr_Occurred() == nullptr;
  const Owned held = Owned::NewRef(channel->object());
  channel->Forget(future);
  return true;
}

bool AddSocketChannel(const Gil&, PyObject* module) {
  const Owned weak(PyImport_ImportModule("_weakref"));
  if (!weak) return false;
  state->get_weak_references = PyObject_GetAttrString(weak.get(), "getweakrefs");
  if (state->get_weak_references == nullptr) return false;
  state->type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&channel_spec));
  return state->type != nullptr && PyModule_AddType(module, state->type) == 0;
}

}  // namespace coloop::io
