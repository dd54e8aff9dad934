// asyncio's StreamReader and StreamReaderProtocol with what every message passes in native code.
#pragma once

struct _object;

namespace coloop::interp {
class Gil;
}

namespace coloop::io {

[[nodiscard]] bool InitStreamReader(const interp::Gil& gil);

// For a protocol that a transport of ours is given. One that is exactly asyncio's, with asyncio's
// reader, becomes one of our subclass, and so does its reader; any other stays what it is. False
// with an exception set.
[[nodiscard]] bool UseNativeReader(const interp::Gil& gil, _object* protocol);

}  // namespace coloop::io
