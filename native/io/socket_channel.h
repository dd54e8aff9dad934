// What serves the calls on a socket.
//
// asyncio puts a socket into its selector for each wait and takes it out again. Here it stays, as a
// passive channel, from the first wait until the socket object is gone; and when the last read was
// short, the next one waits for the edge instead of asking the kernel.
#pragma once

#include <memory>

#include "interp/gil.h"
#include "io/socket_operation.h"

struct _object;

namespace coloop::io {

[[nodiscard]] bool AddSocketChannel(const interp::Gil& gil, _object* module);

// An operation on a socket: tried at once, and only one that must wait makes the channel. A new
// reference to its result, or to a Future of it; null with an exception set, also if `operation` is
// null.
[[nodiscard]] _object* Perform(const interp::Gil& gil, _object* loop, _object* socket,
                               std::unique_ptr<Operation> operation, bool writes);
// Nobody waits for that Future any more: its operation is dropped. False with an exception set.
[[nodiscard]] bool Forget(const interp::Gil& gil, _object* loop, _object* socket, _object* future);

}  // namespace coloop::io
