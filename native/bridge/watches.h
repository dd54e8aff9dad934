// Ending Python early: limits of calls, interrupts.
#pragma once

struct napi_env__;
struct napi_value__;

namespace coloop::bridge {

// Adds `watch`, `unwatch`, `interruptWatch`, `interruptThread`, `watchdog` to the exports.
[[nodiscard]] bool AddWatches(napi_env__* env, napi_value__* exports);

}  // namespace coloop::bridge
