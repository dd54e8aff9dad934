// The hot half of TLS over a transport: Python's own ssl.SSLObject between two ssl.MemoryBIO,
// called without an object for each read. It is both the protocol of the transport below and the
// transport of the protocol above; handshake, shutdown and errors are SSLTransport's, in Python.
//
// What is written stays plain until the transport below takes it: a slow peer costs the caller's
// bytes, not their encrypted copies, and counts for the flow control above.
#pragma once

#include <cstddef>
#include <utility>

#include "interp/gil.h"
#include "interp/ref.h"
#include "io/byte_sink.h"
#include "io/write_buffer.h"

namespace coloop::io {

class Tls final : public ByteSink {
 public:
  // The same numbers in _tls.py.
  enum class State { kUnwrapped, kHandshake, kWrapped, kFlushing, kShutdown };

  explicit Tls(_object* transport) : object_(transport) {}
  ~Tls() override = default;

  // `ssl_object` reads from `incoming` and writes to `outgoing`. False with an exception set, as
  // everywhere here.
  [[nodiscard]] bool Open(const interp::Gil& gil, _object* ssl_object, _object* incoming,
                          _object* outgoing);

  // As a protocol.
  [[nodiscard]] bool Received(const interp::Gil& gil, const char* data,
                              std::size_t length) override;
  [[nodiscard]] bool ResumeWriting(const interp::Gil& gil);

  // As a transport.
  void SetProtocol(_object* protocol, bool buffered);
  [[nodiscard]] bool Write(const interp::Gil& gil, interp::Owned bytes);

  // Waits for the next Push.
  void Append(interp::Owned bytes) { backlog_.Append(std::move(bytes)); }
  // What there is to read is handed to the protocol, unless it pauses.
  [[nodiscard]] bool Read(const interp::Gil& gil);
  // Encrypts what waits, as much as the transport below takes.
  [[nodiscard]] bool Push(const interp::Gil& gil);
  [[nodiscard]] bool SendOutgoing(const interp::Gil& gil, bool even_if_paused);
  [[nodiscard]] bool ControlReading(const interp::Gil& gil);
  [[nodiscard]] bool ControlWriting(const interp::Gil& gil);
  // The bytes that wait; false with an exception set.
  [[nodiscard]] bool WriteBufferSize(const interp::Gil& gil, std::size_t* size) const;
  [[nodiscard]] bool ReadBufferSize(const interp::Gil& gil, std::size_t* size) const;
  [[nodiscard]] bool idle() const { return backlog_.empty(); }
  // The connection is lost: nothing goes either way.
  void Discard();

  int Traverse(int (*visit)(_object*, void*), void* argument) const;
  void ClearReferences();

  interp::Owned loop_object;
  interp::Owned protocol;
  interp::Owned transport;  // the one below
  State state = State::kUnwrapped;
  std::size_t high_water = 0;
  std::size_t low_water = 0;
  std::size_t read_high_water = 0;
  std::size_t read_low_water = 0;
  long lost_writes = 0;  // asyncio's _conn_lost
  bool closed = false;
  bool reading_paused = false;  // by the protocol
  bool protocol_paused = false;
  bool writing_paused = false;  // by the transport below

 private:
  enum class Got { kData, kNothing, kEnd, kError };

  [[nodiscard]] bool open() const { return state == State::kWrapped || state == State::kFlushing; }
  [[nodiscard]] Got Decrypt(const interp::Gil& gil, char* into, std::size_t room,
                            std::size_t* count);
  [[nodiscard]] Got Fill(const interp::Gil& gil, char* into, std::size_t room, std::size_t* total);
  [[nodiscard]] Got ReadData(const interp::Gil& gil);
  [[nodiscard]] Got ReadIntoBuffer(const interp::Gil& gil);
  [[nodiscard]] Got Deliver(const interp::Gil& gil, _object* method, const interp::Owned& argument,
                            const interp::Owned& error, Got got);
  [[nodiscard]] bool Encrypt(const interp::Gil& gil, bool* again);
  [[nodiscard]] bool Fail(const interp::Gil& gil);
  [[nodiscard]] bool CallSelf(const char* method);

  _object* object_;  // borrowed: it is part of it
  interp::Owned incoming_;
  interp::Owned outgoing_;
  interp::Owned feed_;   // incoming_.write
  interp::Owned take_;   // outgoing_.read
  interp::Owned read_;   // of the SSLObject
  interp::Owned write_;  // likewise
  interp::Owned input_;  // spans
  interp::Owned output_;
  WriteBuffer backlog_;
  bool direct_ = false;  // read_ and write_ are _ssl's own, which let a span go
  bool buffered_ = false;
  bool lower_paused_ = false;  // the transport below does not read
  bool busy_ = false;          // in a call of read_ or write_, which may run Python code
};

}  // namespace coloop::io
