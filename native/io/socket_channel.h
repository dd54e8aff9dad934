// The fast ways of sock_recv, sock_recv_into and sock_sendall: `_coloop.sock_*`.
//
// asyncio puts a socket into its selector for each wait and takes it out again. Here it stays, as a
// passive channel, from the first wait until the socket object is gone; and when the last read was
// short, the next one waits for the edge instead of asking the kernel.
#pragma once

#include "interp/gil.h"

struct _object;

namespace coloop::io {

[[nodiscard]] bool AddSocketFunctions(const interp::Gil& gil, _object* module);

}  // namespace coloop::io
