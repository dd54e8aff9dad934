// asyncio's StreamWriter with write() and drain() in native code.
#pragma once

struct _object;

namespace coloop::interp {
class Gil;
}

namespace coloop::io {

[[nodiscard]] bool InitStreamWriter(const interp::Gil& gil, _object* streams);

}  // namespace coloop::io
