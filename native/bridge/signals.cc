// The exports about signals, and where they are delivered.
#include "bridge/signals.h"

#include <node_api.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "bridge/node_host.h"
#include "bridge/signal_thread.h"
#include "interp/gil.h"
#include "interp/interrupt.h"
#include "interp/signals.h"

namespace coloop::bridge {

namespace {

std::mutex host_mutex;
NodeHost* main_host = nullptr;  // guarded by host_mutex

void WakeMain() {
  const std::lock_guard<std::mutex> lock(host_mutex);
  if (main_host != nullptr) main_host->Wake();
}

void Route(int number, bool on) {
  // `coloop run` has Python's handler for SIGINT called by itself.
  if (number == SIGINT && interp::InterruptsOnSigint()) return;
  RouteSignal(number, on);
}

struct Arguments {
  napi_value values[3] = {nullptr, nullptr, nullptr};

  Arguments(napi_env env, napi_callback_info info) {
    std::size_t count = 3;
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  }
  [[nodiscard]] std::int32_t Int(napi_env env, std::size_t index) const {
    std::int32_t number = 0;
    napi_get_value_int32(env, values[index], &number);
    return number;
  }
};

// interruptOnSignal(number, delay in ms, whether again and again)
napi_value OnSignal(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  bool insist = false;
  napi_get_value_bool(env, arguments.values[2], &insist);
  InterruptOnSignal(arguments.Int(env, 0), arguments.Int(env, 1), insist);
  return nullptr;
}

// stopInterruptOnSignal(number)
napi_value StopOnSignal(napi_env env, napi_callback_info info) {
  StopInterruptOnSignal(Arguments(env, info).Int(env, 0));
  return nullptr;
}

// sinceSignal(number) -> ms
napi_value Since(napi_env env, napi_callback_info info) {
  napi_value since = nullptr;
  napi_create_double(env, SinceSignal(Arguments(env, info).Int(env, 0)), &since);
  return since;
}

// routeSignals(): signal.signal() works from now on.
napi_value RouteAll(napi_env, napi_callback_info) {
  const interp::GilAcquire acquire;
  if (acquire.ok()) interp::RouteSignals(acquire.gil(), Route, WakeMain);
  return nullptr;
}

// interruptOnSigint(): SIGINT interrupts Python as well, from now on.
napi_value OnSigint(napi_env, napi_callback_info) {
  interp::InterruptOnSigint();
  return nullptr;
}

}  // namespace

void SetMainHost(NodeHost* host) {
  const std::lock_guard<std::mutex> lock(host_mutex);
  main_host = host;
}

bool AddSignals(napi_env env, napi_value exports) {
  const struct {
    const char* name;
    napi_callback function;
  } functions[] = {
      {"interruptOnSignal", OnSignal}, {"stopInterruptOnSignal", StopOnSignal},
      {"sinceSignal", Since},          {"routeSignals", RouteAll},
      {"interruptOnSigint", OnSigint},
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
