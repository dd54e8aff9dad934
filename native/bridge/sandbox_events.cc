// Reports may come from any thread, with the GIL held; the listener is told through a thread-safe
// function, which nobody waits for.
#include "bridge/sandbox_events.h"

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "bridge/env_data.h"
#include "bridge/exporter.h"
#include "interp/gil.h"
#include "sandbox/children.h"
#include "sandbox/events.h"
#include "sandbox/policy.h"
#include "sandbox/reports.h"

namespace coloop::bridge {

namespace {

std::mutex listener_mutex;
napi_threadsafe_function listener = nullptr;  // guarded by listener_mutex

void WakeListener() {
  const std::lock_guard<std::mutex> lock(listener_mutex);
  if (listener != nullptr) napi_call_threadsafe_function(listener, nullptr, napi_tsfn_nonblocking);
}

void CallListener(napi_env env, napi_value function, void*, void*) {
  napi_value undefined = nullptr;
  if (env == nullptr || napi_get_undefined(env, &undefined) != napi_ok) return;
  napi_call_function(env, undefined, function, 0, nullptr, nullptr);
}

void ForgetListener() {
  napi_threadsafe_function old = nullptr;
  {
    const std::lock_guard<std::mutex> lock(listener_mutex);
    old = listener;
    listener = nullptr;
  }
  if (old != nullptr) napi_release_threadsafe_function(old, napi_tsfn_abort);
}

// The environment ends, and the function with it.
void ForgetEnvironment(void*) {
  sandbox::SetReportListener(nullptr);
  ForgetListener();
}

// listenToSandbox(function or null): called, without arguments, when there are reports to take. One
// for the process.
napi_value Listen(napi_env env, napi_callback_info info) {
  std::size_t count = 1;
  napi_value function = nullptr;
  napi_get_cb_info(env, info, &count, &function, nullptr, nullptr);
  napi_valuetype type = napi_null;
  napi_typeof(env, function, &type);
  sandbox::SetReportListener(nullptr);
  ForgetListener();
  napi_remove_env_cleanup_hook(env, ForgetEnvironment, nullptr);
  if (type != napi_function) return nullptr;
  napi_value name = nullptr;
  napi_create_string_utf8(env, "coloop.sandbox", NAPI_AUTO_LENGTH, &name);
  napi_threadsafe_function made = nullptr;
  if (napi_create_threadsafe_function(env, function, nullptr, name, 0, 1, nullptr, nullptr, nullptr,
                                      CallListener, &made) != napi_ok) {
    return nullptr;
  }
  napi_unref_threadsafe_function(env, made);
  napi_add_env_cleanup_hook(env, ForgetEnvironment, nullptr);
  {
    const std::lock_guard<std::mutex> lock(listener_mutex);
    listener = made;
  }
  sandbox::SetReportListener(WakeListener);
  return nullptr;
}

napi_value Text(napi_env env, std::string_view text) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

napi_value TextArray(napi_env env, const std::vector<std::string>& texts) {
  napi_value array = nullptr;
  napi_create_array_with_length(env, texts.size(), &array);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    napi_set_element(env, array, static_cast<std::uint32_t>(i), Text(env, texts[i]));
  }
  return array;
}

// [event, group, verdict, thread, lost, arguments, file, line, function, file, ...]
napi_value ReportArray(napi_env env, const sandbox::Report& report) {
  const sandbox::Event& event = sandbox::kEvents[report.event];
  const bool refused = report.verdict == sandbox::Reported::kRefused;
  std::vector<napi_value> fields = {
      Text(env, event.name),
      Text(env, sandbox::kGroupNames[static_cast<std::size_t>(event.group)]),
      Text(env, refused ? "refused" : "watched"),
      Text(env, std::to_string(report.thread)),
      Text(env, std::to_string(report.lost)),
      TextArray(env, report.arguments)};
  for (const sandbox::Frame& frame : report.stack) {
    for (const std::string* part : {&frame.file, &frame.line, &frame.function}) {
      fields.push_back(Text(env, *part));
    }
  }
  napi_value array = nullptr;
  napi_create_array_with_length(env, fields.size(), &array);
  for (std::size_t i = 0; i < fields.size(); ++i) {
    napi_set_element(env, array, static_cast<std::uint32_t>(i), fields[i]);
  }
  return array;
}

// takeSandboxReports() -> an array for each report
napi_value Take(napi_env env, napi_callback_info) {
  const std::vector<sandbox::Report> reports = sandbox::TakeReports();
  napi_value array = nullptr;
  napi_create_array_with_length(env, reports.size(), &array);
  for (std::size_t i = 0; i < reports.size(); ++i) {
    napi_handle_scope scope = nullptr;
    if (napi_open_handle_scope(env, &scope) != napi_ok) break;
    napi_set_element(env, array, static_cast<std::uint32_t>(i), ReportArray(env, reports[i]));
    napi_close_handle_scope(env, scope);
  }
  return array;
}

// tightenSandbox(deny, rules, strict)
napi_value Tighten(napi_env env, napi_callback_info info) {
  std::size_t count = 3;
  napi_value arguments[3] = {nullptr, nullptr, nullptr};
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  sandbox::Options options{.allow = {}, .deny = Texts(env, arguments[0])};
  options.rules = Texts(env, arguments[1]);
  napi_get_value_bool(env, arguments[2], &options.strict);
  const base::Result<void> done = sandbox::TightenPolicy(options);
  if (done.ok()) return nullptr;
  napi_throw(env, OwnError(*DataOf(env), done.error().code, done.error().message));
  return nullptr;
}

// childExited(pid, status): also after close(), since threads of Python's may wait for it.
napi_value ChildExited(napi_env env, napi_callback_info info) {
  std::size_t count = 2;
  napi_value arguments[2] = {nullptr, nullptr};
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  std::int32_t pid = 0;
  std::int32_t status = 0;
  napi_get_value_int32(env, arguments[0], &pid);
  napi_get_value_int32(env, arguments[1], &status);
  const interp::GilAcquire acquire;
  if (acquire.ok()) sandbox::ChildExited(acquire.gil(), pid, status);
  return nullptr;
}

}  // namespace

bool AddSandbox(napi_env env, napi_value exports) {
  const struct {
    const char* name;
    napi_callback function;
  } functions[] = {
      {"listenToSandbox", Listen},
      {"takeSandboxReports", Take},
      {"tightenSandbox", Tighten},
      {"childExited", ChildExited},
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
