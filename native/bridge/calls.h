// The functions that JavaScript calls with the interpreter running.
#pragma once

struct napi_env__;
struct napi_value__;

namespace coloop::bridge {

// Adds them to the addon's exports; false if Node-API refused.
[[nodiscard]] bool AddCalls(napi_env__* env, napi_value__* exports);

}  // namespace coloop::bridge
