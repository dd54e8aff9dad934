// The Python type `_coloop.Datagram`, asyncio.DatagramTransport's native heir.
#pragma once

#include "interp/gil.h"

struct _object;

namespace coloop::io {

// Makes the type. False with an exception set.
[[nodiscard]] bool AddDatagramType(const interp::Gil& gil, _object* module);

}  // namespace coloop::io
