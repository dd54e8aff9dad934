// Reads Python objects and drives a sink. Every call needs the GIL.
#pragma once

#include <string>

#include "convert/sink.h"
#include "interp/gil.h"
#include "interp/js_ref.h"

namespace coloop::convert {

// Why a value cannot cross. No reason: the sink failed, and knows it.
struct Refusal {
  std::string reason;
  std::string path;  // to where within the value: ".items[3]"
};

// Reads `object` into `sink`. False when it could not: then either a Python exception is set, or
// `refusal` and the sink say why.
[[nodiscard]] bool ReadPython(const interp::Gil& gil, _object* object, Sink& sink,
                              const interp::HostLink& link, Refusal* refusal);

// The same, but containers become proxies too (`ref`), unless JavaScript owns the object.
[[nodiscard]] bool ReadPythonByReference(const interp::Gil& gil, _object* object, Sink& sink,
                                         const interp::HostLink& link);

// Looks datetime up. Once, after the interpreter started; false with an exception set.
[[nodiscard]] bool InitPythonSource(const interp::Gil& gil);

// Coroutines (asyncio's own test), Tasks and Futures: what becomes a promise.
[[nodiscard]] bool IsAwaitable(const interp::Gil& gil, _object* object);

}  // namespace coloop::convert
