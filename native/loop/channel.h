// A descriptor that native code serves: a transport, a listening socket. The poller notes what it
// is ready for, edge-triggered; the loop comes to it in the order of its ready queue, as it comes
// to the handles of watches.
//
// It is part of a Python object, which the poller (but see Poller::Hold), the ready queue and the
// list of those to flush hold while they have it.
#pragma once

#include "interp/gil.h"

struct _object;

namespace coloop::loop {

class Channel {
 public:
  enum Event : unsigned { kReadable = 1, kWritable = 2, kHungUp = 4, kUrgent = 8 };
  // What it serves, for metrics.
  enum class Kind : unsigned char { kStream, kDatagram, kPipe, kAcceptor, kSocket, kCount };

  explicit Channel(_object* object) : object_(object) {}
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  virtual ~Channel() = default;

  [[nodiscard]] _object* object() const { return object_; }
  [[nodiscard]] virtual Kind kind() const = 0;
  // Passive: the descriptor is somebody else's, who may also watch it; it keeps no host alive.
  [[nodiscard]] virtual bool passive() const { return false; }

  // Level-triggered: it is told again and again as long as there is something to read. A passive
  // one is only while handles watch the descriptor, too, and is told nothing of that else.
  [[nodiscard]] virtual bool level() const { return false; }
  // Passive: handles watch the descriptor, too, or no more. GIL held.
  virtual void Shared(bool /*shared*/) {}

  // What the poller saw, more than one Event at a time. GIL held.
  virtual void Note(unsigned events) = 0;
  // The loop has come to it. False with an exception set: it was not handled, and leaves an owned
  // loop when it is a SystemExit or a KeyboardInterrupt.
  [[nodiscard]] virtual bool Run(const interp::Gil& gil) = 0;
  // The callback that wrote to it has returned. As Run.
  [[nodiscard]] virtual bool Flush(const interp::Gil& gil) = 0;
  // The poller has dropped it: its loop was closed, or another channel took the descriptor.
  virtual void Dropped() = 0;

 private:
  friend class Loop;

  _object* object_;  // borrowed
  bool queued_ = false;
  bool to_flush_ = false;
};

}  // namespace coloop::loop
