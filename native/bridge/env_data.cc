// Per-environment state; see env_data.h.
#include "bridge/env_data.h"

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "bridge/helpers.h"
#include "bridge/js_host.h"
#include "bridge/node_host.h"
// For the destructor.
// NOLINTNEXTLINE(misc-include-cleaner)
#include "bridge/worker_threads.h"

namespace coloop::bridge {

EnvData::EnvData(napi_env environment) : env(environment), proxies(*this) {}
EnvData::~EnvData() = default;

napi_value EnvData::CallHelper(Helper helper, std::size_t count, napi_value const* arguments) {
  napi_value function = nullptr;
  napi_value undefined = nullptr;
  napi_value result = nullptr;
  napi_ref reference = helpers[static_cast<std::size_t>(helper)];
  if (napi_get_reference_value(env, reference, &function) != napi_ok) return nullptr;
  if (napi_get_undefined(env, &undefined) != napi_ok) return nullptr;
  if (napi_call_function(env, undefined, function, count, arguments, &result) != napi_ok) {
    return nullptr;
  }
  return result;
}

void EnvData::DeleteHelpers() {
  for (napi_ref& reference : helpers) {
    if (reference != nullptr) napi_delete_reference(env, reference);
    reference = nullptr;
  }
}

void EnvData::WakeThread() {
  if (node_host != nullptr) node_host->Wake();
}

EnvData* DataOf(napi_env env) {
  void* data = nullptr;
  COLOOP_CHECK(napi_get_instance_data(env, &data) == napi_ok && data != nullptr);
  return static_cast<EnvData*>(data);
}

std::string TextOf(napi_env env, napi_value value) {
  std::size_t length = 0;
  napi_get_value_string_utf8(env, value, nullptr, 0, &length);
  std::string text(length, '\0');
  napi_get_value_string_utf8(env, value, text.data(), length + 1, &length);
  return text;
}

std::vector<std::string> Texts(napi_env env, napi_value array) {
  std::uint32_t length = 0;
  napi_get_array_length(env, array, &length);
  std::vector<std::string> texts;
  for (std::uint32_t i = 0; i < length; ++i) {
    napi_value element = nullptr;
    napi_get_element(env, array, i, &element);
    texts.push_back(TextOf(env, element));
  }
  return texts;
}

}  // namespace coloop::bridge
