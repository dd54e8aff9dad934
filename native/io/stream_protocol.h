// asyncio's StreamReaderProtocol with what every message passes in native code.
#pragma once

struct _object;

namespace coloop::interp {
class Gil;
}

namespace coloop::io {

// Of all three classes of streams.
[[nodiscard]] bool InitStreams(const interp::Gil& gil);

// For a protocol that a transport of ours is given. One that is exactly asyncio's, with asyncio's
// reader, becomes one of our subclass, and so do its reader and, in a server, its writer; any other
// stays what it is. False with an exception set.
[[nodiscard]] bool UseNativeStreams(const interp::Gil& gil, _object* protocol);

}  // namespace coloop::io
