// What the channels of this folder have in common: sizes, and how they call what is Python.
#pragma once

#include <cerrno>
#include <cstddef>

#include "interp/arguments.h"
#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::loop {
class Loop;
}

namespace coloop::io {

// A read that brings this much is followed by one straight into the bytes object: below glibc's
// threshold for mmap, so that its memory is used again.
constexpr std::size_t kManyBytes = std::size_t{32} * 1024;
constexpr std::size_t kDirectBytes = std::size_t{112} * 1024;

// After the connection was lost, writes are counted, and it is said once that becomes a habit:
// asyncio's LOG_THRESHOLD_FOR_CONNLOST_WRITES.
constexpr long kLogLostWrites = 5;

// Methods of asyncio's transports whose argument may be named.
inline constexpr interp::Signature kWrite{"write", 1, {"data", nullptr, nullptr}};
inline constexpr interp::Signature kWriteLines{"writelines", 1, {"list_of_data", nullptr, nullptr}};
inline constexpr interp::Signature kSetProtocol{"set_protocol", 1, {"protocol", nullptr, nullptr}};

[[nodiscard]] inline bool WouldBlock(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

// A limit of set_write_buffer_limits(), which may be any number: what is larger than every buffer
// says no more than that. False with an exception set.
[[nodiscard]] bool ReadWaterMark(_object* value, std::size_t* mark);

// Whether the exception that is set is one that leaves the loop.
[[nodiscard]] bool Leaves();

// loop.call_soon(callback, argument), or without an argument where it is null. False with an
// exception set, also when there is no callback.
[[nodiscard]] bool CallSoon(const interp::Gil& gil, loop::Loop& loop, const interp::Owned& callback,
                            _object* argument);

// Calls pause_writing or resume_writing of a transport's protocol; what it raises is for the loop's
// exception handler. False with an exception set that leaves the loop.
[[nodiscard]] bool TellOfFlow(const interp::Gil& gil, _object* transport,
                              const interp::Owned& protocol, _object* method);

// Ends a transport by its _fatal_error with the exception that is set. As TellOfFlow.
[[nodiscard]] bool FailTransport(const interp::Gil& gil, _object* transport, const char* message);

}  // namespace coloop::io
