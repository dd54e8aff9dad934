#include "io/tls.h"

#include <Python.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

#include "interp/error.h"
#include "interp/gil.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"
#include "io/names.h"
#include "io/span.h"

namespace coloop::io {

using interp::Gil;
using interp::Owned;

namespace {

// One delivery, and what is encrypted at once: below glibc's threshold for mmap with what TLS adds.
constexpr std::size_t kPiece = std::size_t{112} * 1024;
// What a read() of the general kind may bring: a record.
constexpr std::size_t kRecord = std::size_t{16} * 1024;

struct SslNames {
  PyObject* again = nullptr;  // the errors that say: not now
  PyObject* object_type = nullptr;
  PyObject* native_type = nullptr;
};
interp::PerInterpreter<SslNames> ssl_names;

// Python may have been built without ssl, so not before it is needed. Null with an exception set.
const SslNames* Ssl() {
  SslNames& names = *ssl_names;
  if (names.native_type != nullptr) return &names;
  const Owned ssl(PyImport_ImportModule("ssl"));
  const Owned native(PyImport_ImportModule("_ssl"));
  if (!ssl || !native) return nullptr;
  const Owned want_read(PyObject_GetAttrString(ssl.get(), "SSLWantReadError"));
  const Owned system_call(PyObject_GetAttrString(ssl.get(), "SSLSyscallError"));
  Owned object_type(PyObject_GetAttrString(ssl.get(), "SSLObject"));
  Owned native_type(PyObject_GetAttrString(native.get(), "_SSLSocket"));
  if (!want_read || !system_call || !object_type || !native_type) return nullptr;
  Owned again(PyTuple_Pack(2, want_read.get(), system_call.get()));
  if (!again) return nullptr;
  names = {again.release(), object_type.release(), native_type.release()};
  return &names;
}

// True, and the indicator cleared, when the error that is set only says that nothing can be done
// now.
bool IsAgain() {
  const SslNames* names = Ssl();
  if (names == nullptr || PyErr_ExceptionMatches(names->again) == 0) return false;
  PyErr_Clear();
  return true;
}

bool Pending(PyObject* bio, std::size_t* size) {
  const Owned pending(PyObject_GetAttr(bio, Names().pending));
  if (!pending) return false;
  *size = PyLong_AsSize_t(pending.get());
  return PyErr_Occurred() == nullptr;
}

// The thread's room for what is decrypted: its own while it lives, or another one when Python code
// that runs in a call of OpenSSL (a callback of the context) comes here again.
class Scratch {
 public:
  Scratch() : shared_(!in_use) {
    if (!shared_) {
      own_ = Make();
      return;
    }
    in_use = true;
    if (!memory) memory = Make();
  }
  ~Scratch() {
    if (shared_) in_use = false;
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  [[nodiscard]] char* data() const { return shared_ ? memory.get() : own_.get(); }

 private:
  // Not cleared: only what was written is read.
  static std::unique_ptr<char[]> Make() { return std::unique_ptr<char[]>(new char[kPiece]); }

  static thread_local std::unique_ptr<char[]> memory;
  static thread_local bool in_use;

  bool shared_;
  std::unique_ptr<char[]> own_;
};

thread_local std::unique_ptr<char[]> Scratch::memory;
thread_local bool Scratch::in_use = false;

}  // namespace

bool Tls::Open(const Gil& gil, PyObject* ssl_object, PyObject* incoming, PyObject* outgoing) {
  const SslNames* names = Ssl();
  if (names == nullptr) return false;
  // A class of the user's (SSLContext.sslobject_class) is called by its own methods.
  Owned called = Owned::NewRef(ssl_object);
  direct_ = Py_IS_TYPE(ssl_object, reinterpret_cast<PyTypeObject*>(names->object_type));
  if (direct_) {
    called = Owned(PyObject_GetAttrString(ssl_object, "_sslobj"));
    if (!called) return false;
    direct_ = Py_IS_TYPE(called.get(), reinterpret_cast<PyTypeObject*>(names->native_type));
  }
  read_ = Owned(PyObject_GetAttrString(called.get(), "read"));
  write_ = Owned(PyObject_GetAttrString(called.get(), "write"));
  feed_ = Owned(PyObject_GetAttrString(incoming, "write"));
  take_ = Owned(PyObject_GetAttrString(outgoing, "read"));
  incoming_ = Owned::NewRef(incoming);
  outgoing_ = Owned::NewRef(outgoing);
  input_ = NewSpan(gil);
  output_ = NewSpan(gil);
  return read_ && write_ && feed_ && take_ && input_ && output_;
}

bool Tls::CallSelf(const char* method) {
  const Owned done(PyObject_CallMethod(object_, method, nullptr));
  return static_cast<bool>(done);
}

// An Exception that is set ends the connection, as asyncio's _fatal_error; others go on.
bool Tls::Fail(const Gil& gil) {
  if (PyErr_ExceptionMatches(PyExc_Exception) == 0) return false;
  const Owned exception = interp::TakeException(gil);
  const Owned done(PyObject_CallMethod(object_, "_fatal_error", "Os", exception.get(),
                                       "Fatal error on SSL protocol"));
  return static_cast<bool>(done);
}

void Tls::SetProtocol(PyObject* value, bool buffered) {
  protocol = Owned::NewRef(value);
  buffered_ = buffered;
}

void Tls::Discard() {
  backlog_.Clear();
  state = State::kUnwrapped;
  for (Owned* each : {&transport, &incoming_, &outgoing_, &feed_, &take_, &read_, &write_}) {
    each->reset();
  }
}

// Reading

bool Tls::Received(const Gil& gil, const char* data, std::size_t length) {
  if (!feed_) return true;
  {
    const SpanOver over(input_.get(), data, length);
    const Owned fed(PyObject_CallOneArg(feed_.get(), input_.get()));
    if (!fed) return Fail(gil);
  }
  switch (state) {
    case State::kUnwrapped:
      return true;
    case State::kHandshake:
      return CallSelf("_do_handshake");
    case State::kWrapped:
      return Read(gil);
    case State::kFlushing:
      return CallSelf("_do_flush");
    case State::kShutdown:
      return CallSelf("_do_shutdown");
  }
  return true;
}

Tls::Got Tls::Decrypt(const Gil&, char* into, std::size_t room, std::size_t* count) {
  const Owned size(PyLong_FromSize_t(direct_ ? room : std::min(room, kRecord)));
  if (!size) return Got::kError;
  const Owned call = Owned::NewRef(read_.get());  // Python code that runs in it may Discard
  busy_ = true;
  Owned result;
  if (direct_) {
    const SpanOver over(input_.get(), into, room);
    const std::array<PyObject*, 2> arguments = {size.get(), input_.get()};
    result = Owned(PyObject_Vectorcall(call.get(), arguments.data(), 2, nullptr));
  } else {
    result = Owned(PyObject_CallOneArg(call.get(), size.get()));
  }
  busy_ = false;
  if (!result) return IsAgain() ? Got::kNothing : Got::kError;
  if (direct_) {
    *count = PyLong_AsSize_t(result.get());
    if (PyErr_Occurred() != nullptr) return Got::kError;
  } else {
    char* bytes = nullptr;
    Py_ssize_t length = 0;
    if (PyBytes_AsStringAndSize(result.get(), &bytes, &length) != 0) return Got::kError;
    *count = std::min(static_cast<std::size_t>(length), room);
    std::memcpy(into, bytes, *count);
  }
  return *count == 0 ? Got::kEnd : Got::kData;
}

// As much as there is and fits. kData: it is full, there may be more. Asking whether there is more
// is cheaper than the exception that says there is not.
Tls::Got Tls::Fill(const Gil& gil, char* into, std::size_t room, std::size_t* total) {
  while (*total < room) {
    std::size_t count = 0;
    const Got got = Decrypt(gil, into + *total, room - *total, &count);
    if (got != Got::kData) return got;
    *total += count;
    if (!open()) return Got::kNothing;
    std::size_t left = 0;
    if (!Pending(incoming_.get(), &left)) return Got::kError;
    if (left == 0 && *total < room) return Got::kNothing;
  }
  return Got::kData;
}

// Hands over what was read, then raises the error that came after it.
Tls::Got Tls::Deliver(const Gil& gil, PyObject* method, const Owned& argument, const Owned& error,
                      Got got) {
  if (!argument) return Got::kError;
  const Owned to = Owned::NewRef(protocol.get());
  const Owned done(PyObject_CallMethodOneArg(to.get(), method, argument.get()));
  if (!done) return Got::kError;
  if (error) interp::RaiseException(gil, error.get());
  return got;
}

Tls::Got Tls::ReadData(const Gil& gil) {
  std::size_t total = 0;
  Got got = Got::kNothing;
  Owned bytes;
  Owned error;
  {
    const Scratch scratch;
    got = Fill(gil, scratch.data(), kPiece, &total);
    if (total == 0) return got;
    if (got == Got::kError) error = interp::TakeException(gil);
    bytes = Owned(PyBytes_FromStringAndSize(scratch.data(), static_cast<Py_ssize_t>(total)));
  }
  return Deliver(gil, Names().data_received, bytes, error, got);
}

Tls::Got Tls::ReadIntoBuffer(const Gil& gil) {
  const Owned to = Owned::NewRef(protocol.get());
  const Owned hint(PyObject_GetAttr(incoming_.get(), Names().pending));
  if (!hint) return Got::kError;
  const Owned buffer(PyObject_CallMethodOneArg(to.get(), Names().get_buffer, hint.get()));
  if (!buffer) return Got::kError;
  if (!open()) return Got::kNothing;  // ended in there, and that was told
  Py_buffer view;
  if (PyObject_GetBuffer(buffer.get(), &view, PyBUF_WRITABLE) != 0) return Got::kError;
  if (view.len == 0) {
    PyBuffer_Release(&view);
    PyErr_SetString(PyExc_RuntimeError, "get_buffer() returned an empty buffer");
    return Got::kError;
  }
  std::size_t total = 0;
  const Got got =
      Fill(gil, static_cast<char*>(view.buf), static_cast<std::size_t>(view.len), &total);
  const Owned error = got == Got::kError ? interp::TakeException(gil) : Owned();
  PyBuffer_Release(&view);
  if (total > 0) {
    const Owned count(PyLong_FromSize_t(total));
    return Deliver(gil, Names().buffer_updated, count, error, got);
  }
  if (error) interp::RaiseException(gil, error.get());
  return got;
}

bool Tls::Read(const Gil& gil) {
  if (busy_) return true;
  Got got = Got::kData;
  while (got == Got::kData && open() && !reading_paused && protocol) {
    got = buffered_ ? ReadIntoBuffer(gil) : ReadData(gil);
  }
  if (got == Got::kError) return Fail(gil);
  if (got == Got::kEnd && open() && !CallSelf("_peer_closed")) return false;
  // Reading may have made something to send: TLS's own answers.
  if (state == State::kWrapped && !Push(gil)) return false;
  return ControlReading(gil) || Fail(gil);
}

bool Tls::ReadBufferSize(const Gil&, std::size_t* size) const {
  *size = 0;
  return !incoming_ || Pending(incoming_.get(), size);
}

// Only what the protocol does not want piles up.
bool Tls::ControlReading(const Gil& gil) {
  if ((!reading_paused && !lower_paused_) || !transport) return true;
  std::size_t size = 0;
  if (!ReadBufferSize(gil, &size)) return false;
  PyObject* method = nullptr;
  if (!lower_paused_ && reading_paused && size >= read_high_water) {
    method = Names().pause_reading;
  } else if (lower_paused_ && size <= read_low_water) {
    method = Names().resume_reading;
  }
  if (method == nullptr) return true;
  lower_paused_ = !lower_paused_;
  const Owned below = Owned::NewRef(transport.get());
  const Owned done(PyObject_CallMethodNoArgs(below.get(), method));
  return static_cast<bool>(done);
}

// Writing

bool Tls::Write(const Gil& gil, Owned bytes) {
  Append(std::move(bytes));
  return state == State::kWrapped ? Push(gil) : ControlWriting(gil);
}

// The first of what waits. The same bytes again after an `again`, as OpenSSL demands.
bool Tls::Encrypt(const Gil&, bool* again) {
  const Owned chunk = backlog_.First();
  const Owned call = Owned::NewRef(write_.get());
  iovec vector{};
  backlog_.Fill(&vector, 1);
  const auto* data = static_cast<const char*>(vector.iov_base);
  const std::size_t length = std::min(vector.iov_len, kPiece);
  busy_ = true;
  Owned result;
  if (direct_) {
    const SpanOver over(output_.get(), data, length);
    result = Owned(PyObject_CallOneArg(call.get(), output_.get()));
  } else {
    const Owned bytes(PyBytes_FromStringAndSize(data, static_cast<Py_ssize_t>(length)));
    if (bytes) result = Owned(PyObject_CallOneArg(call.get(), bytes.get()));
  }
  busy_ = false;
  if (!result) {
    *again = IsAgain();
    return *again;
  }
  const std::size_t count = PyLong_AsSize_t(result.get());
  if (PyErr_Occurred() != nullptr) return false;
  // Python code that ran in it may have ended the connection.
  if (open() && !backlog_.empty()) backlog_.Consume(std::min(count, length));
  return true;
}

bool Tls::Push(const Gil& gil) {
  if (busy_) return true;
  bool again = false;
  while (!backlog_.empty() && open() && !writing_paused && !again) {
    if (!Encrypt(gil, &again)) return Fail(gil);
    if (!SendOutgoing(gil, false)) return Fail(gil);
  }
  return (SendOutgoing(gil, false) || Fail(gil)) && ControlWriting(gil);
}

bool Tls::SendOutgoing(const Gil&, bool even_if_paused) {
  if (!take_ || !transport || (writing_paused && !even_if_paused)) return true;
  const Owned bytes(PyObject_CallNoArgs(take_.get()));
  if (!bytes) return false;
  if (PyBytes_GET_SIZE(bytes.get()) == 0) return true;
  const Owned below = Owned::NewRef(transport.get());
  const Owned done(PyObject_CallMethodOneArg(below.get(), Names().write, bytes.get()));
  return static_cast<bool>(done);
}

bool Tls::ResumeWriting(const Gil& gil) {
  writing_paused = false;
  // What the peer has sent before its end comes first, if it is still to be read.
  if (state == State::kFlushing && (closed || !reading_paused)) return CallSelf("_do_flush");
  if (open()) return Push(gil);
  return SendOutgoing(gil, false) || Fail(gil);
}

bool Tls::WriteBufferSize(const Gil&, std::size_t* size) const {
  *size = 0;
  // What is encrypted waits only while the transport below does not take it.
  if (writing_paused && outgoing_ && !Pending(outgoing_.get(), size)) return false;
  *size += backlog_.size();
  return true;
}

bool Tls::ControlWriting(const Gil& gil) {
  std::size_t size = 0;
  if (!WriteBufferSize(gil, &size)) return false;
  PyObject* method = nullptr;
  if (!protocol_paused && size > 0 && size >= high_water) {
    method = Names().pause_writing;
  } else if (protocol_paused && size <= low_water) {
    method = Names().resume_writing;
  }
  if (method == nullptr || !protocol) return true;
  protocol_paused = !protocol_paused;
  const Owned to = Owned::NewRef(protocol.get());
  const Owned done(PyObject_CallMethodNoArgs(to.get(), method));
  if (done) return true;
  if (PyErr_ExceptionMatches(PyExc_SystemExit) != 0 ||
      PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) != 0) {
    return false;
  }
  const Owned exception = interp::TakeException(gil);
  const Owned told(
      PyObject_CallMethod(object_, "_flow_control_failed", "OO", method, exception.get()));
  return static_cast<bool>(told);
}

// Life

int Tls::Traverse(int (*visit)(PyObject*, void*), void* argument) const {
  for (const Owned* each : {&loop_object, &protocol, &transport, &incoming_, &outgoing_, &feed_,
                            &take_, &read_, &write_}) {
    if (!*each) continue;
    const int result = visit(each->get(), argument);
    if (result != 0) return result;
  }
  return 0;
}

void Tls::ClearReferences() {
  Discard();
  protocol.reset();
}

}  // namespace coloop::io
