// What a StreamReader's read() and _wait_for_data() return: a coroutine in native code.
#pragma once

struct _object;

namespace coloop::interp {
class Gil;
}

namespace coloop::io {

// The coroutine of reader.read(limit), of at least 1 byte. Null with an exception set.
[[nodiscard]] _object* NewStreamRead(const interp::Gil& gil, _object* reader, long limit);
// That of reader._wait_for_data(method).
[[nodiscard]] _object* NewStreamWait(const interp::Gil& gil, _object* reader, _object* method);

// StreamReader._maybe_resume_transport(). False with an exception set.
[[nodiscard]] bool MaybeResumeTransport(const interp::Gil& gil, _object* reader);

}  // namespace coloop::io
