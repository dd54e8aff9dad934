// The Python type `_coloop.Acceptor`: a listening socket that makes transports.
#pragma once

#include "interp/gil.h"

struct _object;

namespace coloop::io {

[[nodiscard]] bool AddAcceptorType(const interp::Gil& gil, _object* module);

}  // namespace coloop::io
