// The Python object of stream and pipe transports: its life, and the fields and methods that the
// types of both have.
#pragma once

#include "interp/gil.h"
#include "interp/ref.h"
#include "io/stream.h"

struct _object;
struct PyMethodDef;

namespace coloop::io {

// Null before __init__.
[[nodiscard]] Stream* FindStream(_object* self);
// The same with an exception set.
[[nodiscard]] Stream* GetStream(_object* self);
// Makes its Stream; null with an exception set.
[[nodiscard]] Stream* NewStream(_object* self, _object* loop, int fd,
                                Stream::Medium medium = Stream::Medium::kSocket);
// asyncio.BaseTransport's _extra.
void SetExtra(_object* self, interp::Owned extra);

[[nodiscard]] _object* NoneIf(bool done);
[[nodiscard]] _object* OrNone(const interp::Owned& object);

// Methods

template <bool (Stream::*Method)(const interp::Gil&)>
_object* CallStream(_object* self, _object*) {
  Stream* stream = GetStream(self);
  return stream != nullptr ? NoneIf((stream->*Method)(interp::Gil::FromPython())) : nullptr;
}

template <bool (Stream::*Method)(const interp::Gil&, _object*)>
_object* CallStreamWith(_object* self, _object* argument) {
  Stream* stream = GetStream(self);
  return stream != nullptr ? NoneIf((stream->*Method)(interp::Gil::FromPython(), argument))
                           : nullptr;
}

_object* Abort(_object* self, _object*);
_object* IsClosing(_object* self, _object*);
_object* IsReading(_object* self, _object*);
_object* GetProtocol(_object* self, _object*);
_object* CanWriteEof(_object* self, _object*);
_object* GetWriteBufferSize(_object* self, _object*);

// A type over one of asyncio.transports' classes, added to the module. Null with an exception set.
[[nodiscard]] _object* MakeTransportType(const interp::Gil& gil, _object* module, const char* name,
                                         const char* base,
                                         int (*init)(_object*, _object*, _object*),
                                         PyMethodDef* methods);

}  // namespace coloop::io
