// The Python type `_coloop.Stream`, asyncio.Transport's native heir.
#pragma once

#include "interp/gil.h"
#include "interp/ref.h"
#include "io/address.h"
#include "io/stream.h"

namespace coloop::io {

// Makes the type. False with an exception set.
[[nodiscard]] bool AddStreamType(const interp::Gil& gil, _object* module);

// Whether it is an asyncio.BufferedProtocol; -1 with an exception set.
[[nodiscard]] int IsBuffered(_object* protocol);

// Whether it is the type or a subclass.
[[nodiscard]] bool IsStreamType(_object* object);

// Of TCP, small writes go out without waiting for the acknowledgement of the ones before; accepted
// connections inherit that from what listens (Linux, tcp(7)). Says how the poller tells of what
// they have to read. False with errno for what is no descriptor.
[[nodiscard]] bool SetUpSocket(int fd, const Address& name, Stream::Trigger* trigger);

// A transport of class `type` (a subclass) for an accepted descriptor, which it owns from then on,
// also when this fails; started. `trigger`: of the socket that listens. Null with an exception set.
[[nodiscard]] interp::Owned AcceptStream(const interp::Gil& gil, _object* type, _object* loop,
                                         int fd, const Address& peer, Stream::Trigger trigger,
                                         _object* protocol, _object* server);

}  // namespace coloop::io
