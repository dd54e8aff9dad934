// Reads Python objects and drives a sink. Every call needs the GIL.
#pragma once

#include "convert/sink.h"
#include "interp/gil.h"
#include "interp/js_ref.h"

namespace coloop::convert {

// Reads `object` into `sink`. False when it could not: then either a Python exception is set (the
// message names the path within the value), or the sink failed and knows why.
[[nodiscard]] bool ReadPython(const interp::Gil& gil, _object* object, Sink& sink,
                              const interp::HostLink& link);

// The same, but containers become proxies too (`ref`), unless JavaScript owns the object.
[[nodiscard]] bool ReadPythonByReference(const interp::Gil& gil, _object* object, Sink& sink,
                                         const interp::HostLink& link);

// Looks datetime up. Once, after the interpreter started; false with an exception set.
[[nodiscard]] bool InitPythonSource(const interp::Gil& gil);

// Coroutines (asyncio's own test), Tasks and Futures: what becomes a promise.
[[nodiscard]] bool IsAwaitable(const interp::Gil& gil, _object* object);

}  // namespace coloop::convert
