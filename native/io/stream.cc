#include "io/stream.h"

#include <Python.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <utility>

#include "interp/error.h"
#include "interp/gil.h"
#include "interp/ref.h"
#include "io/context_scope.h"
#include "io/names.h"
#include "io/transport.h"
#include "loop/channel.h"
#include "loop/loop.h"

namespace coloop::io {

using interp::Gil;
using interp::Owned;

Stream::Stream(PyObject* transport, PyObject* loop, loop::Loop& native, int descriptor,
               Medium medium)
    : Channel(transport),
      fd(descriptor),
      loop_object(Owned::NewRef(loop)),
      loop_(native),
      medium_(medium),
      watched_(descriptor),
      descriptor_(descriptor) {}

bool Stream::CallLater(const Gil& gil, const char* method, PyObject* argument) {
  return CallSoon(gil, loop_, Owned(PyObject_GetAttrString(object(), method)), argument);
}

bool Stream::Start(const Gil& gil, PyObject* waiter) {
  context_ = Owned(PyContext_CopyCurrent());
  if (!context_) return false;
  const Owned made(PyObject_GetAttr(protocol.get(), Names().connection_made));
  if (!CallSoon(gil, loop_, made, object())) return false;
  starting_ = true;
  attached_ = medium_ != Medium::kWriteDevice;
  if (attached_) loop_.Reserve(fd, *this);
  loop_.Queue(*this);
  return waiter == nullptr || CallLater(gil, "_wake_waiter", waiter);
}

// Reading starts when connection_made has been called.
bool Stream::Begin(const Gil&) {
  starting_ = false;
  if (lost || lost_writes > 0) return true;
  // A device not before it is full: /dev/null has nothing to wait for, and epoll refuses it.
  // Another descriptor not if a second transport has taken it.
  if (medium_ == Medium::kWriteDevice ? !blocked_ : !attached_) return true;
  if (!AttachDescriptor()) {
    PyErr_SetFromErrno(PyExc_OSError);
    Detach();
    return false;
  }
  // What was sent before that and found the descriptor full.
  if (blocked_) loop_.WatchWritable(watched_, true);
  return true;
}

// False with errno set.
bool Stream::AttachDescriptor() {
  // Who reads from a device may be another transport, or a reader of the program's, on the very
  // same descriptor: asyncio's loop has room for both.
  if (medium_ == Medium::kWriteDevice) watched_ = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  attached_ = watched_ >= 0 && loop_.Attach(watched_, *this);
  if (attached_ || medium_ != Medium::kWriteDevice) return attached_;
  const int error = errno;
  if (watched_ >= 0) close(watched_);
  errno = error;
  return false;
}

void Stream::Detach() {
  if (!attached_) return;
  attached_ = false;
  // A descriptor that only this transport has leaves the kernel's set when it is closed.
  loop_.Detach(watched_, *this, static_cast<bool>(socket));
  if (medium_ == Medium::kWriteDevice) close(watched_);
}

void Stream::Dropped() {
  if (std::exchange(attached_, false) && medium_ == Medium::kWriteDevice) close(watched_);
}

void Stream::Note(unsigned events) {
  if ((events & kWritable) != 0) writable_ = true;
  if ((events & kHungUp) != 0) hung_up_ = true;
  // Each later event, such as room to write, tells of the peer's end again.
  if ((events & (kReadable | kHungUp)) != 0 && !at_end_) readable_ = true;
  if ((events & kUrgent) != 0) trigger_ = Trigger::kLevel;
  // What is not going to be read would be told for ever.
  const bool level = trigger_ == Trigger::kLevel && !hung_up_ && !at_end_ && is_reading();
  if (level != level_) SetLevel(level);
}

void Stream::SetLevel(bool level) {
  level_ = level;
  if (attached_) loop_.UpdateChannel(watched_);
}

// What is neither read nor waits to be written is nobody's if the program has dropped it: as with
// asyncio, whose loop knows nothing of it then, the garbage collector closes it.
void Stream::UpdateHold() {
  const bool held = blocked_ || (!paused && !at_end_);
  if (held == held_ || !attached_) return;
  held_ = held;
  loop_.Hold(watched_, *this, held);
}

bool Stream::Run(const Gil& gil) {
  if (starting_) return Begin(gil);
  if (!protocol) return true;  // the garbage collector took it
  const ContextScope scope(context_);
  if (!scope.Enter()) return false;
  bool done = true;
  if (readable_) done = writes_only() ? OnReaderGone(gil) : ReadReady(gil);
  if (done && std::exchange(writable_, false) && blocked_) done = WriteReady(gil);
  return scope.Exit(gil, done);
}

bool Stream::Flush(const Gil& gil) { return lost || SendPending(gil); }

// The exception that is set ends the transport, as asyncio's _fatal_error.
bool Stream::Fail(const Gil& gil, const char* message) {
  return FailTransport(gil, object(), message);
}

bool Stream::Log(const Gil&, const char* format) {
  if (!loop_.debug) return true;
  const Owned logged(PyObject_CallMethod(object(), "_log", "s", format));
  return static_cast<bool>(logged);
}

// Reading

bool Stream::ReadReady(const Gil& gil) {
  if (lost_writes > 0 || closing || paused) return true;
  const bool done = sink_ != nullptr ? ReadIntoSink(gil)
                    : buffered_      ? ReadIntoBuffer(gil)
                                     : ReadData(gil);
  // One read a turn, as asyncio: others have theirs.
  if (readable_ && is_reading()) loop_.Queue(*this);
  return done;
}

ssize_t Stream::Receive(void* into, std::size_t room) {
  return is_pipe() ? read(fd, into, room) : recv(descriptor_.live(), into, room, MSG_DONTWAIT);
}

// After a short read, news comes as an event.
void Stream::NoteRead(std::size_t got, std::size_t room) {
  if (got < room && !hung_up_) readable_ = false;
  many_ = got >= kManyBytes;
}

bool Stream::ReadFailed(const Gil& gil, int error) {
  if (error == EINTR) return true;
  if (WouldBlock(error)) {
    readable_ = false;
    return true;
  }
  readable_ = false;
  errno = error;
  PyErr_SetFromErrno(PyExc_OSError);
  return Fail(gil, is_pipe() ? "Fatal read error on pipe transport"
                             : "Fatal read error on socket transport");
}

bool Stream::ReadData(const Gil& gil) {
  const std::size_t room = many_ ? kDirectBytes : loop::Loop::kScratchSize;
  PyObject* data = nullptr;
  if (many_) {
    data = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(room));
    if (data == nullptr) return Fail(gil, "Fatal read error on socket transport");
  }
  char* into = many_ ? PyBytes_AS_STRING(data) : loop_.Scratch();
  const ssize_t got = Receive(into, room);
  if (got <= 0) {
    const int error = errno;
    Py_XDECREF(data);
    if (got < 0) return ReadFailed(gil, error);
    return is_pipe() ? OnPipeEof(gil) : OnEof(gil);
  }
  if (data != nullptr) {
    if (_PyBytes_Resize(&data, got) != 0) return Fail(gil, "Fatal read error on socket transport");
  } else {
    data = PyBytes_FromStringAndSize(into, got);
    if (data == nullptr) return Fail(gil, "Fatal read error on socket transport");
  }
  const Owned bytes(data);
  NoteRead(static_cast<std::size_t>(got), room);
  const Owned to = Owned::NewRef(protocol.get());
  const Owned done(PyObject_CallMethodOneArg(to.get(), Names().data_received, data));
  // asyncio's pipes go on after that; it is an error of the callback.
  if (!done && is_pipe()) return false;
  return done || Fail(gil, "Fatal error: protocol.data_received() call failed.");
}

bool Stream::ReadIntoBuffer(const Gil& gil) {
  const Owned to = Owned::NewRef(protocol.get());
  const Owned buffer(PyObject_CallMethodOneArg(to.get(), Names().get_buffer, Names().minus_one));
  if (!buffer) return Fail(gil, "Fatal error: protocol.get_buffer() call failed.");
  const Py_ssize_t length = PyObject_Size(buffer.get());
  if (length == 0) {
    PyErr_SetString(PyExc_RuntimeError, "get_buffer() returned an empty buffer");
  }
  if (length <= 0) return Fail(gil, "Fatal error: protocol.get_buffer() call failed.");
  Py_buffer view;
  if (PyObject_GetBuffer(buffer.get(), &view, PyBUF_WRITABLE) != 0) {
    return Fail(gil, "Fatal read error on socket transport");
  }
  const auto room = static_cast<std::size_t>(view.len);
  const ssize_t got = Receive(view.buf, room);
  const int error = errno;
  PyBuffer_Release(&view);
  if (got < 0) return ReadFailed(gil, error);
  if (got == 0) return OnEof(gil);
  NoteRead(static_cast<std::size_t>(got), room);
  const Owned count(PyLong_FromSsize_t(got));
  if (!count) return Fail(gil, "Fatal error: protocol.buffer_updated() call failed.");
  const Owned done(PyObject_CallMethodOneArg(to.get(), Names().buffer_updated, count.get()));
  return done || Fail(gil, "Fatal error: protocol.buffer_updated() call failed.");
}

bool Stream::ReadIntoSink(const Gil& gil) {
  const ssize_t got = Receive(loop_.Scratch(), loop::Loop::kScratchSize);
  if (got < 0) return ReadFailed(gil, errno);
  if (got == 0) return OnEof(gil);
  NoteRead(static_cast<std::size_t>(got), loop::Loop::kScratchSize);
  const Owned to = Owned::NewRef(protocol.get());
  return sink_->Received(gil, loop_.Scratch(), static_cast<std::size_t>(got)) ||
         Fail(gil, "Fatal error: protocol.data_received() call failed.");
}

bool Stream::OnEof(const Gil& gil) {
  readable_ = false;
  if (!Log(gil, "%r received EOF")) return false;
  const Owned to = Owned::NewRef(protocol.get());
  const Owned keep_open(PyObject_CallMethodNoArgs(to.get(), Names().eof_received));
  const int keep = keep_open ? PyObject_IsTrue(keep_open.get()) : -1;
  if (keep < 0) {
    if (Fail(gil, "Fatal error: protocol.eof_received() call failed.")) return true;
    readable_ = true;  // the loop is left: as asyncio, its end is met again in the next run
    return false;
  }
  at_end_ = keep != 0;
  UpdateHold();
  return at_end_ || Close(gil);
}

bool Stream::LogPeerClosed(const Gil&) {
  if (!loop_.debug) return true;
  const Owned logged(PyObject_CallMethod(object(), "_log_peer_closed", nullptr));
  return static_cast<bool>(logged);
}

bool Stream::OnPipeEof(const Gil& gil) {
  readable_ = false;
  if (!LogPeerClosed(gil)) return false;
  closing = true;
  ++lost_writes;
  Detach();
  return CallSoon(gil, loop_, Owned(PyObject_GetAttr(protocol.get(), Names().eof_received)),
                  nullptr) &&
         CallLater(gil, "_call_connection_lost", Py_None);
}

// Of a pipe that is written to, only that says that it is readable.
bool Stream::OnReaderGone(const Gil& gil) {
  readable_ = false;
  if (medium_ == Medium::kWriteDevice || lost_writes > 0) return true;
  if (!LogPeerClosed(gil)) return false;
  if (buffer_.empty()) return ForceClose(gil, Py_None);
  const Owned broken(PyObject_CallNoArgs(PyExc_BrokenPipeError));
  return broken && ForceClose(gil, broken.get());
}

bool Stream::PauseReading(const Gil& gil) {
  if (!is_reading()) return true;
  paused = true;
  UpdateHold();
  return Log(gil, "%r pauses reading");
}

bool Stream::ResumeReading(const Gil& gil) {
  if (closing || !paused) return true;
  paused = false;
  if (std::exchange(at_end_, false)) readable_ = true;  // as asyncio: its end is met again
  // What came meanwhile was noted; what a full read left behind is there without an event.
  if (readable_ && attached_) loop_.QueueLast(*this);
  if (!level_ && trigger_ == Trigger::kLevel && !hung_up_) SetLevel(true);
  UpdateHold();
  return Log(gil, "%r resumes reading");
}

void Stream::SetSocket(const Gil& gil, PyObject* object) {
  socket = Owned::NewRef(object);
  descriptor_.FollowSocket(gil, object);
}

void Stream::SetProtocol(PyObject* value, bool buffered, ByteSink* sink) {
  protocol = Owned::NewRef(value);
  buffered_ = buffered;
  sink_ = sink;
  connected = true;
}

// Closing

bool Stream::Close(const Gil& gil) {
  if (closing) return true;
  if (!SendPending(gil)) return false;
  if (closing) return true;  // that failed
  closing = true;
  if (!buffer_.empty()) return true;
  ++lost_writes;
  Detach();
  return CallLater(gil, "_call_connection_lost", Py_None);
}

bool Stream::ForceClose(const Gil& gil, PyObject* exception) {
  if (lost_writes > 0) return true;
  const bool sent = SendPending(gil);  // as if each write had gone out at once
  if (!sent || lost_writes > 0) return sent;
  buffer_.Clear();
  closing = true;
  ++lost_writes;
  Detach();
  return CallLater(gil, "_call_connection_lost", exception);
}

Owned Stream::TakeSocket() {
  Detach();
  descriptor_.Forget();
  const int descriptor = std::exchange(fd, -1);
  // A pipe's is the pipe object's, if that was taken away.
  if (!socket && descriptor >= 0 && !is_pipe()) close(descriptor);
  return std::move(socket);
}

bool Stream::LoseConnection(const Gil& gil, PyObject* exception) {
  if (lost) return true;
  lost = true;
  lost_writes = lost_writes > 0 ? lost_writes : 1;
  buffer_.Clear();
  bool called = true;
  if (connected && protocol) {
    const Owned to = Owned::NewRef(protocol.get());
    const Owned done(PyObject_CallMethodOneArg(to.get(), Names().connection_lost, exception));
    called = static_cast<bool>(done);
  }
  const Owned raised = called ? Owned() : interp::TakeException(gil);
  const Owned socket_object = TakeSocket();
  sink_ = nullptr;
  const Owned last_protocol = std::move(protocol);
  const Owned last_server = std::move(server);
  bool ended = true;
  if (socket_object) {
    const Owned closed(PyObject_CallMethodNoArgs(socket_object.get(), Names().close));
    ended = static_cast<bool>(closed);
  }
  if (last_server && ended) {
    const Owned detached(PyObject_CallMethod(object(), "_detach_server", "O", last_server.get()));
    ended = static_cast<bool>(detached);
  }
  if (empty_waiter && ended) {
    const Owned told(PyObject_CallMethodNoArgs(object(), Names().fail_empty_waiter));
    ended = static_cast<bool>(told);
  }
  if (called) return ended;
  if (!ended) PyErr_Clear();
  interp::RaiseException(gil, raised.get());
  return false;
}

int Stream::Traverse(int (*visit)(PyObject*, void*), void* argument) const {
  for (const Owned* each : {&loop_object, &protocol, &socket, &server, &empty_waiter, &context_}) {
    if (!*each) continue;
    const int result = visit(each->get(), argument);
    if (result != 0) return result;
  }
  return 0;
}

void Stream::ClearReferences() {
  sink_ = nullptr;
  protocol.reset();
  server.reset();
  empty_waiter.reset();
}

}  // namespace coloop::io
