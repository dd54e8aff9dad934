#include "io/datagram.h"

#include <Python.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <utility>

#include "interp/error.h"
#include "interp/gil.h"
#include "interp/ref.h"
#include "io/address.h"
#include "io/address_cache.h"
#include "io/context_scope.h"
#include "io/names.h"
#include "io/transport.h"
#include "loop/channel.h"
#include "loop/loop.h"

namespace coloop::io {

using interp::Gil;
using interp::Owned;

namespace {

// Room for one UDP datagram, which is never longer than 64 KiB; a little more, so that the
// beginnings of several do not fall on the same lines of the cache.
constexpr std::size_t kSlot = std::size_t{65} * 1024 + 64;

// Where a batch is received: of the thread, as it is empty again before any Python runs. What is
// never written to is never more than addresses.
char* BatchScratch(std::size_t slots) {
  thread_local const std::unique_ptr<char[]> scratch(new char[slots * kSlot]);
  return scratch.get();
}

}  // namespace

Datagram::Datagram(PyObject* transport, PyObject* loop, loop::Loop& native, int descriptor)
    : Channel(transport),
      fd(descriptor),
      loop_object(Owned::NewRef(loop)),
      loop_(native),
      descriptor_(descriptor),
      family_(Address::OfSocket(descriptor).storage.ss_family),
      connected_(Address::OfPeer(descriptor).length > 0),
      level_(family_ == AF_UNIX) {}

bool Datagram::CallLater(const Gil& gil, const char* method, PyObject* argument) {
  return CallSoon(gil, loop_, Owned(PyObject_GetAttrString(object(), method)), argument);
}

bool Datagram::Start(const Gil& gil, PyObject* waiter, bool named) {
  named_ = named;
  context_ = Owned(PyContext_CopyCurrent());
  if (!context_) return false;
  const Owned made(PyObject_GetAttr(protocol.get(), Names().connection_made));
  if (!CallSoon(gil, loop_, made, object())) return false;
  starting_ = true;
  attached_ = true;
  loop_.Reserve(fd, *this);
  loop_.Queue(*this);
  return waiter == nullptr || CallLater(gil, "_wake_waiter", waiter);
}

// Reading starts when connection_made has been called.
bool Datagram::Begin(const Gil&) {
  starting_ = false;
  if (lost_writes > 0 || !attached_) return true;  // closed, or a second transport has taken it
  if (!loop_.Attach(fd, *this)) {
    PyErr_SetFromErrno(PyExc_OSError);
    Detach();
    return false;
  }
  // What was sent before that and found no room.
  if (blocked_) loop_.WatchWritable(fd, true);
  return true;
}

void Datagram::Detach() {
  if (!attached_) return;
  attached_ = false;
  loop_.Detach(fd, *this, true);
}

void Datagram::Note(unsigned events) {
  if ((events & kReadable) != 0) readable_ = true;
  if ((events & kWritable) != 0) writable_ = true;
  if ((events & kHungUp) != 0) {
    failed_ = true;
    readable_ = true;
  }
  UpdateLevel();
}

// UNIX datagrams, which are read one at a time, are told of again and again; but what is not going
// to be read would be told for ever.
void Datagram::UpdateLevel() {
  const bool level = family_ == AF_UNIX && !failed_ && is_reading();
  if (level == level_) return;
  level_ = level;
  if (attached_) loop_.UpdateChannel(fd);
}

bool Datagram::Run(const Gil& gil) {
  if (starting_) return Begin(gil);
  if (!protocol) return true;  // the garbage collector took it
  if (readable_ || count_ > 0) {
    const ContextScope scope(context_);
    if (!scope.Enter()) return false;
    if (!scope.Exit(gil, ReadReady(gil))) {
      if (writable_) loop_.Queue(*this);
      return false;
    }
  }
  if (!std::exchange(writable_, false) || !blocked_) return true;
  const ContextScope scope(send_context_);
  return scope.Enter() && scope.Exit(gil, SendReady(gil));
}

bool Datagram::Log(const Gil&, const char* format) {
  if (!loop_.debug) return true;
  const Owned logged(PyObject_CallMethod(object(), "_log", "s", format));
  return static_cast<bool>(logged);
}

// The exception that is set, an OSError, is for the protocol.
bool Datagram::TellError(const Gil& gil) {
  const Owned exception = interp::TakeException(gil);
  if (!protocol) return true;
  const Owned to = Owned::NewRef(protocol.get());
  const Owned done(PyObject_CallMethodOneArg(to.get(), Names().error_received, exception.get()));
  return static_cast<bool>(done);
}

// Reading

bool Datagram::ReadReady(const Gil& gil) {
  if (!is_reading()) return true;
  bool done = count_ > 0 || Receive(gil);
  if (done) done = Deliver(gil);
  // One batch a turn: others have theirs.
  if ((readable_ || count_ > 0) && is_reading()) loop_.Queue(*this);
  return done;
}

bool Datagram::Receive(const Gil& gil) {
  // A UNIX datagram may be as long as asyncio's max_size: one at a time, in the loop's scratch.
  const bool one = family_ == AF_UNIX;
  const std::size_t slots = one ? 1 : kBatch;
  const std::size_t room = one ? loop::Loop::kScratchSize : kSlot;
  char* scratch = one ? loop_.Scratch() : BatchScratch(kBatch);
  std::array<mmsghdr, kBatch> messages;
  std::array<iovec, kBatch> vectors;
  std::array<sockaddr_storage, kBatch> names;
  for (std::size_t i = 0; i < slots; ++i) {
    vectors[i] = iovec{scratch + i * room, room};
    messages[i] = mmsghdr{};
    messages[i].msg_hdr.msg_name = &names[i];
    messages[i].msg_hdr.msg_namelen = sizeof(names[i]);
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  const int result = recvmmsg(descriptor_.live(), messages.data(), static_cast<unsigned>(slots),
                              MSG_DONTWAIT, nullptr);
  if (result < 0) return ReadFailed(gil, errno);
  const auto got = static_cast<std::size_t>(result);
  // Nothing is left, or the poller tells of it. But an error ends a batch, too.
  if ((got < slots || level_) && !failed_) readable_ = false;
  if (peers_ == nullptr) peers_ = std::make_unique<AddressCache>();
  first_ = 0;
  for (std::size_t i = 0; i < got; ++i) {
    inbox_[i].data = Owned(PyBytes_FromStringAndSize(static_cast<const char*>(vectors[i].iov_base),
                                                     static_cast<Py_ssize_t>(messages[i].msg_len)));
    inbox_[i].address = peers_->ToPython(gil, names[i], messages[i].msg_hdr.msg_namelen);
    if (!inbox_[i].data || !inbox_[i].address) {
      return FailTransport(gil, object(), "Fatal read error on datagram transport");
    }
    ++count_;
  }
  return true;
}

bool Datagram::ReadFailed(const Gil& gil, int error) {
  if (error == EINTR) return true;
  // After any other error there may be more to read; but not from what is no socket any more.
  if (WouldBlock(error) || error == EBADF || error == ENOTSOCK) {
    readable_ = false;
    failed_ = false;
    if (WouldBlock(error)) {
      UpdateLevel();
      return true;
    }
  }
  errno = error;
  PyErr_SetFromErrno(PyExc_OSError);
  return TellError(gil);
}

bool Datagram::Deliver(const Gil& gil) {
  delivering_ = true;
  const bool done = DeliverAll(gil);
  delivering_ = false;
  if (collected_ == nullptr || collected_->empty()) return done;
  if (done) return SendCollected(gil);
  const Owned exception = interp::TakeException(gil);
  if (!SendCollected(gil)) PyErr_Clear();
  interp::RaiseException(gil, exception.get());
  return false;
}

bool Datagram::DeliverAll(const Gil& gil) {
  while (count_ > 0 && is_reading() && protocol) {
    const Item item = std::move(inbox_[first_++]);
    --count_;
    const Owned to = Owned::NewRef(protocol.get());
    PyObject* arguments[] = {to.get(), item.data.get(), item.address.get()};
    const Owned done(PyObject_VectorcallMethod(Names().datagram_received, arguments,
                                               3 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
    if (!done) return false;
    // Callbacks that take long do not keep the answers of those before them.
    if (collected_ != nullptr && !collected_->empty() && collected_->IsOld() &&
        !SendCollected(gil)) {
      return false;
    }
  }
  return true;
}

// What has come and will not be read.
void Datagram::ClearInbox() {
  for (; count_ > 0; --count_) {
    const Item dropped = std::move(inbox_[first_++]);
  }
}

bool Datagram::PauseReading(const Gil& gil) {
  if (!is_reading()) return true;
  paused = true;
  return Log(gil, "%r pauses reading");
}

bool Datagram::ResumeReading(const Gil& gil) {
  if (closing || !paused) return true;
  paused = false;
  // What came meanwhile was noted; what a full batch left behind is there without an event.
  if ((readable_ || count_ > 0) && attached_) loop_.QueueLast(*this);
  UpdateLevel();
  return Log(gil, "%r resumes reading");
}

// Closing

bool Datagram::Close(const Gil& gil) {
  if (closing) return true;
  if (!SendCollected(gil)) return false;
  if (closing) return true;
  closing = true;
  ClearInbox();
  if (!buffer_.empty()) return true;
  ++lost_writes;
  Detach();
  return CallLater(gil, "_call_connection_lost", Py_None);
}

bool Datagram::ForceClose(const Gil& gil, PyObject* exception) {
  if (lost_writes > 0) return true;
  if (!SendCollected(gil)) return false;
  if (lost_writes > 0) return true;
  closing = true;
  ++lost_writes;
  ClearInbox();
  buffer_.clear();
  pending_ = 0;
  Detach();
  return CallLater(gil, "_call_connection_lost", exception);
}

Owned Datagram::TakeSocket() {
  Detach();
  descriptor_.Forget();
  fd = -1;
  return std::move(socket);
}

bool Datagram::LoseConnection(const Gil& gil, PyObject* exception) {
  if (lost) return true;
  lost = true;
  lost_writes = std::max(lost_writes, 1L);
  Owned called = Owned::NewRef(Py_None);
  if (protocol) {
    const Owned to = Owned::NewRef(protocol.get());
    called = Owned(PyObject_CallMethodOneArg(to.get(), Names().connection_lost, exception));
  }
  const Owned raised = called ? Owned() : interp::TakeException(gil);
  const Owned socket_object = TakeSocket();
  const Owned last_protocol = std::move(protocol);
  Owned closed = Owned::NewRef(Py_None);
  if (socket_object) {
    closed = Owned(PyObject_CallMethodNoArgs(socket_object.get(), Names().close));
  }
  if (!raised) return static_cast<bool>(closed);
  if (!closed) PyErr_Clear();
  interp::RaiseException(gil, raised.get());
  return false;
}

int Datagram::Traverse(int (*visit)(PyObject*, void*), void* argument) const {
  const auto each = [visit, argument](const Owned& object) {
    return object ? visit(object.get(), argument) : 0;
  };
  for (const Owned* object :
       {&loop_object, &protocol, &socket, &address, &context_, &send_context_}) {
    const int result = each(*object);
    if (result != 0) return result;
  }
  for (const Item& item : buffer_) {
    const int result = each(item.address);
    if (result != 0) return result;
  }
  return 0;
}

void Datagram::ClearReferences() { protocol.reset(); }

}  // namespace coloop::io
