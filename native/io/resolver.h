// `_coloop.resolve_literal`: what getaddrinfo() says of a numeric address, without asking it.
#pragma once

#include "interp/gil.h"

struct _object;

namespace coloop::io {

[[nodiscard]] bool AddResolver(const interp::Gil& gil, _object* module);

}  // namespace coloop::io
