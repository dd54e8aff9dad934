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
  napi_value values[2] = {nullptr, nullptr};

  Arguments(napi_env env, napi_callback_info info) {
    std::size_t count = 2;
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  }
  [[nodiscard]] std::int32_t Int(napi_env env, std::size_t index) const {
    std::int32_t number = 0;
    napi_get_value_int32(env, values[index], &number);
    return number;
  }
};

napi_value Number(napi_env env, int number) {
  napi_value value = nullptr;
  napi_create_int32(env, number, &value);
  return value;
}

// interruptOnSignal(number) -> request
napi_value OnSignal(napi_env env, napi_callback_info info) {
  return Number(env, InterruptOnSignal(Arguments(env, info).Int(env, 0)));
}

// endOnSignal(number, grace in ms) -> request
napi_value OnEndingSignal(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  return Number(env, EndOnSignal(arguments.Int(env, 0), arguments.Int(env, 1)));
}

// forgetSignal(request)
napi_value Forget(napi_env env, napi_callback_info info) {
  ForgetRequest(Arguments(env, info).Int(env, 0));
  return nullptr;
}

// exitBegins()
napi_value ExitEvent(napi_env, napi_callback_info) {
  ExitBegins();
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
      {"interruptOnSignal", OnSignal}, {"endOnSignal", OnEndingSignal}, {"forgetSignal", Forget},
      {"exitBegins", ExitEvent},       {"sinceSignal", Since},          {"routeSignals", RouteAll},
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
