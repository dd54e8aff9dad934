// Starting and closing Python in an environment, and leaving it with the process.
#pragma once

struct napi_env__;
struct napi_value__;

namespace coloop::bridge {

// Adds `setup`, `start`, `close`, `exit`, `serve`, `interrupt` to the exports.
[[nodiscard]] bool AddLifecycle(napi_env__* env, napi_value__* exports);

}  // namespace coloop::bridge
