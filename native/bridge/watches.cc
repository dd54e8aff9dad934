// The watches of JavaScript's calls.
#include "bridge/watches.h"

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "bridge/env_data.h"
#include "interp/gil.h"
#include "interp/ref.h"
#include "interp/run.h"
#include "interp/watch.h"
#include "interp/watchdog.h"

namespace coloop::bridge {

namespace {

double Argument(napi_env env, napi_callback_info info) {
  std::size_t count = 1;
  napi_value argument = nullptr;
  double number = 0;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  napi_get_value_double(env, argument, &number);
  return number;
}

// watch(milliseconds, or -1 for none) -> number, for callWith; 0 when Python is closed
napi_value Watch(napi_env env, napi_callback_info info) {
  EnvData& data = *DataOf(env);
  const double limit = Argument(env, info);
  const std::uint64_t watch = data.started() ? interp::NewWatch(data.lane, limit) : 0;
  napi_value number = nullptr;
  napi_create_double(env, static_cast<double>(watch), &number);
  return number;
}

// unwatch(number) -> 1 if its time had come, 2 besides if Python was interrupted for it
napi_value Unwatch(napi_env env, napi_callback_info info) {
  const auto watch = static_cast<std::uint64_t>(Argument(env, info));
  interp::EndedWatch ended;
  {
    const interp::GilAcquire acquire;
    if (acquire.ok()) ended = interp::EndWatch(acquire.gil(), watch);
  }
  napi_value bits = nullptr;
  napi_create_uint32(env, (ended.due ? 1U : 0U) | (ended.raised ? 2U : 0U), &bits);
  return bits;
}

// interruptWatch(number): its time has come
napi_value InterruptWatch(napi_env env, napi_callback_info info) {
  interp::InterruptWatch(static_cast<std::uint64_t>(Argument(env, info)));
  return nullptr;
}

// interruptThread(threadId) -> whether Python runs there
napi_value InterruptThread(napi_env env, napi_callback_info info) {
  const std::shared_ptr<interp::Lane> lane =
      interp::FindLane(static_cast<int>(Argument(env, info)));
  napi_value interrupted = nullptr;
  napi_get_boolean(env, lane != nullptr && interp::InterruptLane(lane, false), &interrupted);
  return interrupted;
}

// watchdog(limit in ms or 0 for none, whether it interrupts)
napi_value Watchdog(napi_env env, napi_callback_info info) {
  std::size_t count = 2;
  napi_value arguments[2] = {nullptr, nullptr};
  std::int32_t limit = 0;
  bool interrupt = false;
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  napi_get_value_int32(env, arguments[0], &limit);
  napi_get_value_bool(env, arguments[1], &interrupt);
  EnvData& data = *DataOf(env);
  const interp::GilAcquire acquire;
  if (!acquire.ok() || !data.started()) return nullptr;
  if (limit == 0) {
    interp::StopWatchdog(acquire.gil());
  } else {
    interp::StartWatchdog(acquire.gil(), data.lane, limit, interrupt,
                          interp::Owned::NewRef(data.python.blocked.get()));
  }
  return nullptr;
}

}  // namespace

bool AddWatches(napi_env env, napi_value exports) {
  const struct {
    const char* name;
    napi_callback function;
  } functions[] = {
      {"watch", Watch},
      {"unwatch", Unwatch},
      {"interruptWatch", InterruptWatch},
      {"interruptThread", InterruptThread},
      {"watchdog", Watchdog},
  };
  for (const auto& [name, function] : functions) {
    napi_value value = nullptr;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value) != napi_ok ||
        napi_set_named_property(env, exports, name, value) != napi_ok) {
      return false;
    }
  }
  return true;
}

}  // namespace coloop::bridge
