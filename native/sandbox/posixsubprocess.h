// Our `_posixsubprocess`: its fork_exec raises no audit event, and multiprocessing calls it
// directly.
#pragma once

namespace coloop::sandbox {

// Puts our module in the original's place. Before Python starts; false when out of memory.
[[nodiscard]] bool ShadowForkExec();

// True while this thread loads the original on behalf of our module, which a policy may allow.
[[nodiscard]] bool LoadingOriginalForkExec();

}  // namespace coloop::sandbox
