#include "bridge/throw.h"

#include <node_api.h>

#include <chrono>
#include <thread>

#include "bridge/env_data.h"
#include "bridge/helpers.h"
#include "interp/interpreter.h"

namespace coloop::bridge {

namespace {
constexpr int kLooks = 2000;
constexpr std::chrono::milliseconds kBetween(1);

// Node has ended this Worker: JavaScript no longer runs in it. That is to be seen by no exception,
// which would take the place of the termination.
bool IsTerminated(EnvData& data) {
  if (data.CallHelper(Helper::kNewMap, 0, nullptr) != nullptr) return false;
  napi_value nothing = nullptr;
  napi_get_and_clear_last_exception(data.env, &nothing);
  return true;
}

bool AwaitTermination(EnvData& data) {
  for (int look = 0; look < kLooks; ++look) {
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

void ThrowLast(EnvData& data, napi_value error) {
  if (!data.main_thread && interp::IsPastExit() && AwaitTermination(data)) return;
  if (error != nullptr) napi_throw(data.env, error);
}

}  // namespace coloop::bridge
