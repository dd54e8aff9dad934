// The Python types `_coloop.ReadPipe` and `_coloop.WritePipe`: asyncio's pipe transports.
#pragma once

#include "interp/gil.h"

struct _object;

namespace coloop::io {

// Makes the types. False with an exception set.
[[nodiscard]] bool AddPipeTypes(const interp::Gil& gil, _object* module);

}  // namespace coloop::io
