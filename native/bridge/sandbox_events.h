// The sandbox's reports to JavaScript, and JavaScript's tightening.
#pragma once

struct napi_env__;
struct napi_value__;

namespace coloop::bridge {

[[nodiscard]] bool AddSandbox(napi_env__* env, napi_value__* exports);

}  // namespace coloop::bridge
