// The I/O of a datagram transport over a UDP or UNIX socket: asyncio's _SelectorDatagramTransport
// on a channel of the loop, with its order of callbacks, its flow control and its texts.
//
// What has come is taken from the kernel several at a time, and given to the protocol one by one
// as long as it wants them. What is sent goes out at once, but for the answers to several that came
// together: those go out together. Only what the kernel has no room for is kept.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <deque>
#include <memory>

#include "interp/gil.h"
#include "interp/ref.h"
#include "io/address.h"
#include "io/address_cache.h"
#include "io/descriptor.h"
#include "io/send_batch.h"
#include "loop/channel.h"
#include "loop/loop.h"

namespace coloop::io {

class Datagram final : public loop::Channel {
 public:
  Datagram(_object* transport, _object* loop_object, loop::Loop& loop, int fd);
  Datagram(const Datagram&) = delete;
  Datagram& operator=(const Datagram&) = delete;
  ~Datagram() override = default;

  // Queues connection_made and the start of reading, and the waiter's wake-up after them. `named`:
  // the socket has a peer with a name. False with an exception set.
  [[nodiscard]] bool Start(const interp::Gil& gil, _object* waiter, bool named);

  [[nodiscard]] Kind kind() const override { return Kind::kDatagram; }
  void Note(unsigned events) override;
  [[nodiscard]] bool Run(const interp::Gil& gil) override;
  [[nodiscard]] bool Flush(const interp::Gil&) override { return true; }
  [[nodiscard]] bool level() const override { return level_; }
  void Dropped() override { attached_ = false; }

  // asyncio's methods. Those that can fail return false with an exception set.
  [[nodiscard]] bool SendTo(const interp::Gil& gil, _object* data, _object* to);
  // What was collected goes out now.
  [[nodiscard]] bool SendCollected(const interp::Gil& gil);
  // Sends what waits, as far as the kernel has room.
  [[nodiscard]] bool SendReady(const interp::Gil& gil);
  [[nodiscard]] bool Close(const interp::Gil& gil);
  [[nodiscard]] bool ForceClose(const interp::Gil& gil, _object* exception);
  [[nodiscard]] bool LoseConnection(const interp::Gil& gil, _object* exception);
  [[nodiscard]] bool MaybePause(const interp::Gil& gil);
  [[nodiscard]] bool PauseReading(const interp::Gil& gil);
  [[nodiscard]] bool ResumeReading(const interp::Gil& gil);
  [[nodiscard]] bool is_reading() const { return !closing && !paused; }
  [[nodiscard]] bool is_writing() const { return blocked_; }
  [[nodiscard]] std::size_t pending() const { return pending_; }

  int Traverse(int (*visit)(_object*, void*), void* argument) const;
  void ClearReferences();
  // Leaves the descriptor to its socket object, which is returned.
  [[nodiscard]] interp::Owned TakeSocket();

  void SetSocket(const interp::Gil& gil, _object* object) {
    socket = interp::Owned::NewRef(object);
    descriptor_.FollowSocket(gil, object);
  }

  int fd;
  interp::Owned loop_object;
  interp::Owned protocol;
  interp::Owned socket;   // the socket.socket
  interp::Owned address;  // the only one that it sends to, if there is one
  std::size_t high_water = std::size_t{64} * 1024;  // asyncio's _FlowControlMixin
  std::size_t low_water = std::size_t{16} * 1024;
  long lost_writes = 0;  // asyncio's _conn_lost
  bool closing = false;
  bool paused = false;
  bool lost = false;  // connection_lost was called
  bool protocol_paused = false;

 private:
  // kTold: it failed, and the protocol or the loop's exception handler was told.
  enum class Sent { kDone, kWouldBlock, kTold, kRaised };

  struct Item {
    interp::Owned data;
    interp::Owned address;  // where from or to
  };

  static constexpr std::size_t kBatch = 16;

  [[nodiscard]] bool Begin(const interp::Gil& gil);
  [[nodiscard]] bool ReadReady(const interp::Gil& gil);
  [[nodiscard]] bool Receive(const interp::Gil& gil);
  [[nodiscard]] bool ReadFailed(const interp::Gil& gil, int error);
  [[nodiscard]] bool Deliver(const interp::Gil& gil);
  [[nodiscard]] bool DeliverAll(const interp::Gil& gil);
  void ClearInbox();
  [[nodiscard]] bool MayCollect(const interp::Gil& gil, const _object* data, _object* to);
  [[nodiscard]] bool Collect(const interp::Gil& gil, _object* data, _object* to);
  [[nodiscard]] bool SendOrKeep(const interp::Gil& gil, _object* data, _object* to);
  [[nodiscard]] Sent Send(const interp::Gil& gil, _object* data, _object* to);
  [[nodiscard]] Sent SendByModule(const interp::Gil& gil, _object* data, _object* to);
  [[nodiscard]] Sent SendFailed(const interp::Gil& gil);
  [[nodiscard]] bool GoesToPeer(const _object* to) const;
  [[nodiscard]] bool FindTarget(const interp::Gil& gil, _object* to);
  [[nodiscard]] bool Block(const interp::Gil& gil, const _object* to);
  [[nodiscard]] bool TellError(const interp::Gil& gil);
  [[nodiscard]] bool MaybeResume(const interp::Gil& gil);
  [[nodiscard]] bool CountLostWrite(const interp::Gil& gil);
  [[nodiscard]] bool CallLater(const interp::Gil& gil, const char* method, _object* argument);
  [[nodiscard]] bool Log(const interp::Gil& gil, const char* format);  // in debug mode
  void UpdateLevel();
  void Detach();

  loop::Loop& loop_;
  Descriptor descriptor_;
  interp::Owned context_;
  interp::Owned send_context_;  // of the call of sendto() that found no room
  int family_ = AF_UNSPEC;
  bool named_ = false;      // has a peer with a name: where to is not asked
  bool connected_ = false;  // has a peer
  bool attached_ = false;   // the poller has it, if only reserved
  bool starting_ = false;   // connection_made is queued, reading is not started
  bool readable_ = false;   // there may be something to read
  bool writable_ = false;   // an event said so, not looked at yet
  bool failed_ = false;     // an error waits: a batch that is not full is not the last
  bool blocked_ = false;    // waits for room
  bool level_;              // the poller tells again and again while there is something to read
  std::array<Item, kBatch> inbox_;
  std::size_t first_ = 0;  // of those in it
  std::size_t count_ = 0;
  bool delivering_ = false;  // the protocol is given what came
  std::unique_ptr<SendBatch> collected_;
  std::unique_ptr<AddressCache> peers_;
  interp::Owned target_object_;  // where the last one went that no peer of those has
  Address target_;
  std::deque<Item> buffer_;
  std::size_t pending_ = 0;
};

}  // namespace coloop::io
