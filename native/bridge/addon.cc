// The addon's entry: exports and the environment's data.
#include <node_api.h>

#include "bridge/calls.h"
#include "bridge/env_data.h"
#include "bridge/lifecycle.h"
#include "bridge/sandbox_events.h"
#include "bridge/signals.h"
#include "bridge/watches.h"

namespace {

// exports.stamp: the package and the interfaces that this addon was built from.
bool AddStamp(napi_env env, napi_value exports) {
  napi_value stamp = nullptr;
  return napi_create_string_utf8(env, COLOOP_STAMP, NAPI_AUTO_LENGTH, &stamp) == napi_ok &&
         napi_set_named_property(env, exports, "stamp", stamp) == napi_ok;
}

}  // namespace

NAPI_MODULE_INIT() {
  using coloop::bridge::EnvData;
  auto* data = new EnvData(env);
  // Until setup() sees to it; a Worker may end before.
  const auto free = [](napi_env, void* unused, void*) { delete static_cast<EnvData*>(unused); };
  if (napi_set_instance_data(env, data, free, nullptr) != napi_ok ||
      !coloop::bridge::AddCalls(env, exports) || !coloop::bridge::AddLifecycle(env, exports) ||
      !coloop::bridge::AddSandbox(env, exports) || !coloop::bridge::AddSignals(env, exports) ||
      !coloop::bridge::AddWatches(env, exports) || !AddStamp(env, exports)) {
    napi_throw_error(env, "ERR_COLOOP_START", "the addon could not be set up");
  }
  return exports;
}
