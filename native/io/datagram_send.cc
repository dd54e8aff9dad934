// The sending half of a datagram transport.
#include <Python.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <memory>
#include <utility>

#include "interp/error.h"
#include "interp/gil.h"
#include "interp/ref.h"
#include "io/address.h"
#include "io/address_cache.h"
#include "io/datagram.h"
#include "io/names.h"
#include "io/send_batch.h"
#include "io/transport.h"
#include "loop/loop.h"

namespace coloop::io {

using interp::Gil;
using interp::Owned;

namespace {

// What asyncio counts for each datagram that waits, besides its bytes.
constexpr std::size_t kHeader = PY_VERSION_HEX >= 0x030D0000 ? 8 : 0;

std::size_t SizeOf(const Owned& bytes) {
  return static_cast<std::size_t>(PyBytes_GET_SIZE(bytes.get())) + kHeader;
}

}  // namespace

bool Datagram::SendTo(const Gil& gil, PyObject* data, PyObject* to) {
  if (address) {
    const int same = to == Py_None ? 1 : PyObject_RichCompareBool(to, address.get(), Py_EQ);
    if (same < 0) return false;
    if (same == 0) {
      PyErr_Format(PyExc_ValueError, "Invalid address: must be None or %S", address.get());
      return false;
    }
    to = address.get();
  }
  if (lost_writes > 0 && (address || lost)) return CountLostWrite(gil);
  if (MayCollect(gil, data, to)) return Collect(gil, data, to);
  return SendCollected(gil) && SendOrKeep(gil, data, to);
}

// More will be delivered, or something was collected already: what has no error to tell at once. A
// socket with a peer has: the errors of what was sent before.
bool Datagram::MayCollect(const Gil& gil, const PyObject* data, PyObject* to) {
  const bool more = count_ > 0 || (collected_ != nullptr && !collected_->empty());
  return delivering_ && more && buffer_.empty() && lost_writes == 0 &&
         Py_TYPE(data) == &PyBytes_Type && !GoesToPeer(to) && FindTarget(gil, to);
}

bool Datagram::Collect(const Gil& gil, PyObject* data, PyObject* to) {
  if (PySys_Audit("socket.sendto", "OO", socket ? socket.get() : Py_None, to) != 0) {
    return SendFailed(gil) != Sent::kRaised;
  }
  // A hook may have sent something elsewhere.
  if (!FindTarget(gil, to)) return SendOrKeep(gil, data, to);
  if (collected_ == nullptr) collected_ = std::make_unique<SendBatch>();
  collected_->Add(data, to, target_);
  return !collected_->full() || SendCollected(gil);
}

bool Datagram::SendCollected(const Gil& gil) {
  if (collected_ == nullptr || collected_->empty()) return true;
  SendBatch::Entries left;
  const std::size_t count = collected_->Send(descriptor_.live(), &left);
  // The rest one by one, each to meet its own error. What an error handler sends comes before them.
  const bool delivering = std::exchange(delivering_, false);
  Owned raised;
  for (std::size_t i = 0; i < count; ++i) {
    if (SendOrKeep(gil, left[i].data.get(), left[i].to.get())) continue;
    Owned exception = interp::TakeException(gil);
    if (!raised) raised = std::move(exception);
  }
  delivering_ = delivering;
  if (!raised) return true;
  interp::RaiseException(gil, raised.get());
  return false;
}

bool Datagram::SendOrKeep(const Gil& gil, PyObject* data, PyObject* to) {
  if (buffer_.empty()) {
    switch (Send(gil, data, to)) {
      case Sent::kDone:
      case Sent::kTold:
        return true;
      case Sent::kRaised:
        return false;
      case Sent::kWouldBlock:
        break;
    }
    if (lost_writes > 0 && lost) return true;
    if (!Block(gil, to)) return false;
  }
  Owned bytes = PyBytes_CheckExact(data) ? Owned::NewRef(data) : Owned(PyBytes_FromObject(data));
  if (!bytes) return false;
  pending_ += SizeOf(bytes);
  buffer_.push_back(Item{std::move(bytes), Owned::NewRef(to)});
  return MaybePause(gil);
}

bool Datagram::CountLostWrite(const Gil&) {
  if (lost_writes++ < kLogLostWrites) return true;
  const Owned done(PyObject_CallMethod(object(), "_warn_lost_write", nullptr));
  return static_cast<bool>(done);
}

bool Datagram::GoesToPeer(const PyObject* to) const {
  return named_ || (connected_ && to == Py_None);
}

Datagram::Sent Datagram::Send(const Gil& gil, PyObject* data, PyObject* to) {
  const bool to_peer = GoesToPeer(to);
  if (!to_peer) {
    if (!FindTarget(gil, to)) return SendByModule(gil, data, to);
    if (PySys_Audit("socket.sendto", "OO", socket ? socket.get() : Py_None, to) != 0) {
      return SendFailed(gil);
    }
  }
  Py_buffer view;
  if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) != 0) return SendFailed(gil);
  // A hook of an audit may have sent something elsewhere.
  if (!to_peer) (void)FindTarget(gil, to);
  const auto* target = reinterpret_cast<const sockaddr*>(&target_.storage);
  constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
  ssize_t sent = -1;
  do {
    sent = sendto(descriptor_.live(), view.buf, static_cast<std::size_t>(view.len), kFlags,
                  to_peer ? nullptr : target, to_peer ? 0 : target_.length);
  } while (sent < 0 && errno == EINTR);
  const int error = errno;
  PyBuffer_Release(&view);
  if (sent >= 0) return Sent::kDone;
  if (WouldBlock(error)) return Sent::kWouldBlock;
  errno = error;
  PyErr_SetFromErrno(PyExc_OSError);
  return SendFailed(gil);
}

// Names, and what is to be refused.
Datagram::Sent Datagram::SendByModule(const Gil& gil, PyObject* data, PyObject* to) {
  const Owned from = Owned::NewRef(socket ? socket.get() : Py_None);
  const Owned sent(PyObject_CallMethodObjArgs(from.get(), Names().sendto, data, to, nullptr));
  return sent ? Sent::kDone : SendFailed(gil);
}

Datagram::Sent Datagram::SendFailed(const Gil& gil) {
  if (PyErr_ExceptionMatches(PyExc_BlockingIOError) != 0 ||
      PyErr_ExceptionMatches(PyExc_InterruptedError) != 0) {
    PyErr_Clear();
    return Sent::kWouldBlock;
  }
  const bool told = PyErr_ExceptionMatches(PyExc_OSError) != 0
                        ? TellError(gil)
                        : FailTransport(gil, object(), "Fatal write error on datagram transport");
  return told ? Sent::kTold : Sent::kRaised;
}

// Sets target_, if the object is an address in numbers.
bool Datagram::FindTarget(const Gil& gil, PyObject* to) {
  if (to == target_object_.get()) return true;
  const bool found =
      (peers_ != nullptr && peers_->Find(to, &target_)) || FromPython(gil, family_, to, &target_);
  target_object_ = found ? Owned::NewRef(to) : Owned();
  return found;
}

// Waits until there is room for what did not find any.
bool Datagram::Block(const Gil&, const PyObject* to) {
  blocked_ = true;
  if (!send_context_) send_context_ = Owned(PyContext_CopyCurrent());
  if (!send_context_) return false;
  // A UNIX socket is writable whoever it has written to, but for a peer.
  if (family_ == AF_UNIX && !GoesToPeer(to)) {
    const Owned waits(PyObject_CallMethod(object(), "_send_later", nullptr));
    return static_cast<bool>(waits);
  }
  if (attached_) loop_.WatchWritable(fd, true);
  return true;
}

bool Datagram::SendReady(const Gil& gil) {
  if (!blocked_ || lost_writes > 0) return true;
  blocked_ = false;
  while (!buffer_.empty()) {
    Item item = std::move(buffer_.front());
    buffer_.pop_front();
    const Sent sent = Send(gil, item.data.get(), item.address.get());
    if (lost_writes > 0) return sent != Sent::kRaised;
    if (sent == Sent::kWouldBlock) {
      const bool waits = Block(gil, item.address.get());
      buffer_.push_front(std::move(item));
      if (!waits) return false;
      break;
    }
    pending_ -= SizeOf(item.data);
    if (sent == Sent::kDone) continue;
    // asyncio goes on in the next turn.
    blocked_ = true;
    writable_ = true;
    loop_.Queue(*this);
    return sent == Sent::kTold;
  }
  if (!MaybeResume(gil)) return false;  // may send more
  if (lost_writes > 0 || !buffer_.empty()) return true;
  send_context_.reset();
  if (attached_) loop_.WatchWritable(fd, false);
  return !closing || LoseConnection(gil, Py_None);
}

bool Datagram::MaybePause(const Gil& gil) {
  if (protocol_paused || !protocol || pending_ <= high_water) return true;
  protocol_paused = true;
  return TellOfFlow(gil, object(), protocol, Names().pause_writing);
}

bool Datagram::MaybeResume(const Gil& gil) {
  if (!protocol_paused || !protocol || pending_ > low_water) return true;
  protocol_paused = false;
  return TellOfFlow(gil, object(), protocol, Names().resume_writing);
}

}  // namespace coloop::io
