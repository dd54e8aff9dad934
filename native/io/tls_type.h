// The Python type `_coloop.Tls`: a transport over a transport, and its protocol.
#pragma once

#include "interp/gil.h"
#include "io/byte_sink.h"

struct _object;

namespace coloop::io {

// Makes the type. False with an exception set.
[[nodiscard]] bool AddTlsType(const interp::Gil& gil, _object* module);

// The native half of a protocol that is a _coloop.Tls; null for any other.
[[nodiscard]] ByteSink* SinkOf(_object* protocol);

}  // namespace coloop::io
