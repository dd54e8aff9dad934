// The addon's entry: exports and the environment's data.
#include <node_api.h>

#include "bridge/calls.h"
#include "bridge/env_data.h"
#include "bridge/lifecycle.h"

NAPI_MODULE_INIT() {
  using coloop::bridge::EnvData;
  // Freed by the cleanup hook of setup(), not by Node-API: finalizers that use it may run later.
  auto* data = new EnvData(env);
  if (napi_set_instance_data(env, data, nullptr, nullptr) != napi_ok ||
      !coloop::bridge::AddCalls(env, exports) || !coloop::bridge::AddLifecycle(env, exports)) {
    napi_throw_error(env, "ERR_COLOOP_START", "the addon could not be set up");
  }
  return exports;
}
