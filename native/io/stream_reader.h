// asyncio's StreamReader with what every message passes in native code.
#pragma once

struct _object;

namespace coloop::interp {
class Gil;
}

namespace coloop::io {

[[nodiscard]] bool InitStreamReader(const interp::Gil& gil, _object* streams);

// reader.feed_data(data): of the reader's own, if that has one in the place of its class's.
[[nodiscard]] _object* FeedReader(const interp::Gil& gil, _object* reader, _object* data);

}  // namespace coloop::io
