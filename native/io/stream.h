// The I/O of a stream transport over a TCP or UNIX socket, or over one end of a pipe: asyncio's
// _SelectorSocketTransport, _UnixReadPipeTransport and _UnixWritePipeTransport on a channel of the
// loop, with their order of callbacks, their flow control and their texts.
//
// The first write of a callback goes out at once, the others together when it returns; the first
// waits for them, too, where the callback before wrote more than once. Whatever asks how much is
// not sent yet, or whether it is closing, sends first. What is written to a pipe goes out at once.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "interp/gil.h"
#include "interp/ref.h"
#include "io/address.h"
#include "io/byte_sink.h"
#include "io/descriptor.h"
#include "io/write_buffer.h"
#include "loop/channel.h"
#include "loop/loop.h"

namespace coloop::io {

class Stream final : public loop::Channel {
 public:
  // A device is the writing end of what is neither a pipe nor a socket, such as a terminal: it has
  // no reader that could go away.
  enum class Medium : unsigned char { kSocket, kReadPipe, kWritePipe, kWriteDevice };
  // How the poller tells of what is to be read. After a read that brought less than it had room
  // for, nothing is left of TCP without urgent data: what comes then is an edge. Elsewhere a read
  // also ends at a message, a line or what comes along, and the poller has to tell of the rest.
  enum class Trigger : unsigned char { kEdge, kLevel };

  Stream(_object* transport, _object* loop_object, loop::Loop& loop, int fd,
         Medium medium = Medium::kSocket);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() override = default;

  // Queues connection_made and the start of reading, and the waiter's wake-up after them. False
  // with an exception set.
  [[nodiscard]] bool Start(const interp::Gil& gil, _object* waiter);

  [[nodiscard]] Kind kind() const override { return is_pipe() ? Kind::kPipe : Kind::kStream; }
  void Note(unsigned events) override;
  [[nodiscard]] bool Run(const interp::Gil& gil) override;
  [[nodiscard]] bool Flush(const interp::Gil& gil) override;
  [[nodiscard]] bool level() const override { return level_; }
  void Dropped() override;

  // asyncio's methods. Those that can fail return false with an exception set.
  // `sink`: of a protocol that is native, else null.
  void SetProtocol(_object* protocol, bool buffered, ByteSink* sink);
  void SetSocket(const interp::Gil& gil, _object* object);
  void SetTrigger(Trigger trigger) {
    trigger_ = trigger;
    level_ = trigger == Trigger::kLevel;
  }
  [[nodiscard]] bool Write(const interp::Gil& gil, interp::Owned bytes);
  [[nodiscard]] bool WriteAll(const interp::Gil& gil, std::vector<interp::Owned> parts);
  [[nodiscard]] bool WriteEof(const interp::Gil& gil);
  [[nodiscard]] bool Close(const interp::Gil& gil);
  [[nodiscard]] bool ForceClose(const interp::Gil& gil, _object* exception);
  [[nodiscard]] bool LoseConnection(const interp::Gil& gil, _object* exception);
  [[nodiscard]] bool MaybePause(const interp::Gil& gil);
  [[nodiscard]] bool SendPending(const interp::Gil& gil) {
    return blocked_ || buffer_.empty() || Send(gil);
  }
  [[nodiscard]] bool PauseReading(const interp::Gil& gil);
  [[nodiscard]] bool ResumeReading(const interp::Gil& gil);
  [[nodiscard]] bool is_pipe() const { return medium_ != Medium::kSocket; }
  [[nodiscard]] bool is_reading() const { return !closing && !paused; }
  [[nodiscard]] bool is_writing() const { return blocked_; }
  [[nodiscard]] std::size_t pending() const { return buffer_.size(); }

  int Traverse(int (*visit)(_object*, void*), void* argument) const;
  void ClearReferences();
  // Closes the descriptor, unless a socket object does. The socket object is returned.
  [[nodiscard]] interp::Owned TakeSocket();

  int fd;
  interp::Owned loop_object;
  interp::Owned protocol;
  interp::Owned socket;  // a socket.socket, null until somebody asks for it; or the pipe object
  interp::Owned server;
  interp::Owned empty_waiter;
  Address name;
  Address peer;
  std::size_t high_water = std::size_t{64} * 1024;  // asyncio's _FlowControlMixin
  std::size_t low_water = std::size_t{16} * 1024;
  long lost_writes = 0;     // asyncio's _conn_lost: 0 until the end is on its way
  long dropped_writes = 0;  // the _conn_lost of a pipe, which counts from close() on
  bool connected = false;
  bool closing = false;
  bool paused = false;
  bool eof = false;
  bool lost = false;  // connection_lost was called
  bool protocol_paused = false;

 private:
  [[nodiscard]] bool writes_only() const {
    return medium_ == Medium::kWritePipe || medium_ == Medium::kWriteDevice;
  }
  [[nodiscard]] bool Begin(const interp::Gil& gil);
  [[nodiscard]] bool AttachDescriptor();
  [[nodiscard]] bool ReadReady(const interp::Gil& gil);
  [[nodiscard]] bool ReadData(const interp::Gil& gil);
  [[nodiscard]] bool ReadIntoBuffer(const interp::Gil& gil);
  [[nodiscard]] bool ReadIntoSink(const interp::Gil& gil);
  [[nodiscard]] bool ReadFailed(const interp::Gil& gil, int error);
  [[nodiscard]] bool OnEof(const interp::Gil& gil);
  [[nodiscard]] bool OnPipeEof(const interp::Gil& gil);
  [[nodiscard]] bool OnReaderGone(const interp::Gil& gil);
  [[nodiscard]] bool LogPeerClosed(const interp::Gil& gil);
  [[nodiscard]] bool WriteReady(const interp::Gil& gil);
  [[nodiscard]] bool Send(const interp::Gil& gil);
  [[nodiscard]] bool MaybeResume(const interp::Gil& gil);
  [[nodiscard]] bool Fail(const interp::Gil& gil, const char* message);
  [[nodiscard]] bool CallLater(const interp::Gil& gil, const char* method, _object* argument);
  [[nodiscard]] bool Log(const interp::Gil& gil, const char* format);  // in debug mode
  void SetLevel(bool level);
  void UpdateHold();
  [[nodiscard]] ssize_t Receive(void* into, std::size_t room);
  void NoteRead(std::size_t got, std::size_t room);
  [[nodiscard]] bool MayWait();
  [[nodiscard]] bool Added(const interp::Gil& gil, bool waits);
  void Detach();

  loop::Loop& loop_;
  const Medium medium_;
  int watched_;  // what the poller has: `fd`, but of a device a duplicate
  Descriptor descriptor_;
  Trigger trigger_ = Trigger::kEdge;
  interp::Owned context_;
  WriteBuffer buffer_;
  ByteSink* sink_ = nullptr;    // part of the protocol
  bool buffered_ = false;       // a BufferedProtocol
  bool attached_ = false;       // the poller has it, if only reserved
  bool starting_ = false;       // connection_made is queued, reading is not started
  bool readable_ = false;       // there may be something to read
  bool writable_ = false;       // an event said so, not looked at yet
  bool hung_up_ = false;        // the peer's end came, or an error: a short read is not the last
  bool at_end_ = false;         // the protocol keeps it open after the peer's end: nothing is read
  bool blocked_ = false;        // waits for the descriptor to become writable
  bool many_ = false;           // the last read brought much
  bool held_ = true;            // by the poller
  bool level_ = false;          // the poller tells again and again while there is something to read
  std::uint64_t wrote_in_ = 0;  // which callback it was last written to in
  unsigned writes_ = 0;         // how often in that
};

}  // namespace coloop::io
