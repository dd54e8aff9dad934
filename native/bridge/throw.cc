#include "bridge/throw.h"

#include <node_api.h>

#include <chrono>
#include <thread>

#include "bridge/env_data.h"
#include "bridge/helpers.h"
#include "interp/interpreter.h"

namespace coloop::bridge {

namespace {
constexpr std::chrono::milliseconds kBetween(1);

// The JavaScript exception that is set, and no longer is; null if there is none. That of a
// termination is no object, and would take its place if it were thrown.
napi_value TakePending(napi_env env) {
  bool is_pending = false;
  if (napi_is_exception_pending(env, &is_pending) != napi_ok || !is_pending) return nullptr;
  napi_value pending = nullptr;
  napi_valuetype type = napi_undefined;
  if (napi_get_and_clear_last_exception(env, &pending) != napi_ok) return nullptr;
  napi_typeof(env, pending, &type);
  return type == napi_object ? pending : nullptr;
}

// Node has ended this Worker: JavaScript does not run in it any more.
bool IsTerminated(EnvData& data) {
  return data.CallHelper(Helper::kNewMap, 0, nullptr) == nullptr &&
         TakePending(data.env) == nullptr;
}

bool AwaitTermination(EnvData& data) {
  for (; data.termination_looks > 0; --data.termination_looks) {
    napi_handle_scope scope = nullptr;
    napi_open_handle_scope(data.env, &scope);
    const bool terminated = IsTerminated(data);
    napi_close_handle_scope(data.env, scope);
    if (terminated) return true;
    std::this_thread::sleep_for(kBetween);
  }
  return false;
}
}  // namespace

bool TakeStackOverflow(napi_env env) {
  bool pending = false;
  napi_value thrown = nullptr;
  if (napi_is_exception_pending(env, &pending) != napi_ok || !pending) return false;
  if (napi_get_and_clear_last_exception(env, &thrown) != napi_ok) return false;
  bool is_error = false;
  napi_value message = nullptr;
  napi_is_error(env, thrown, &is_error);
  if (is_error && napi_get_named_property(env, thrown, "message", &message) == napi_ok &&
      TextOf(env, message) == "Maximum call stack size exceeded") {
    return true;
  }
  napi_value other = nullptr;
  napi_is_exception_pending(env, &pending);
  if (pending) napi_get_and_clear_last_exception(env, &other);
  napi_throw(env, thrown);
  return false;
}

void ThrowLast(EnvData& data, napi_value error) {
  if (!data.main_thread && interp::IsPastExit()) {
    if (error == nullptr) error = TakePending(data.env);
    if (AwaitTermination(data)) return;
  }
  if (error != nullptr) napi_throw(data.env, error);
}

}  // namespace coloop::bridge
