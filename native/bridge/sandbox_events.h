// The sandbox's reports to JavaScript, and what JavaScript tells it.
#pragma once

struct napi_env__;
struct napi_value__;

namespace coloop::bridge {

[[nodiscard]] bool AddSandbox(napi_env__* env, napi_value__* exports);

}  // namespace coloop::bridge
