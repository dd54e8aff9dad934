// The fast ways of sock_recv, sock_sendall and the others of their kind: `_coloop.sock_*`.
#pragma once

#include "interp/gil.h"

struct _object;

namespace coloop::io {

[[nodiscard]] bool AddSocketFunctions(const interp::Gil& gil, _object* module);

}  // namespace coloop::io
