// load({ library, plain }) -> { mode, reason }
#include <node_api.h>

#include <string>

#include "loader/load.h"

namespace {

std::string Text(napi_env env, napi_value value) {
  std::size_t length = 0;
  napi_get_value_string_utf8(env, value, nullptr, 0, &length);
  std::string text(length, '\0');
  napi_get_value_string_utf8(env, value, text.data(), length + 1, &length);
  return text;
}

void SetText(napi_env env, napi_value object, const char* name, const std::string& text) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  napi_set_named_property(env, object, name, value);
}

napi_value Load(napi_env env, napi_callback_info info) {
  std::size_t count = 1;
  napi_value options = nullptr;
  napi_value library = nullptr;
  napi_value plain_value = nullptr;
  bool plain = false;
  if (napi_get_cb_info(env, info, &count, &options, nullptr, nullptr) != napi_ok ||
      napi_get_named_property(env, options, "library", &library) != napi_ok ||
      napi_get_named_property(env, options, "plain", &plain_value) != napi_ok ||
      napi_get_value_bool(env, plain_value, &plain) != napi_ok) {
    return nullptr;  // the exception is pending
  }
  coloop::base::Result<coloop::loader::Loaded> result =
      coloop::loader::Load(Text(env, library), plain);
  if (!result.ok()) {
    napi_throw_error(env, result.error().code.c_str(), result.error().message.c_str());
    return nullptr;
  }
  napi_value object = nullptr;
  napi_create_object(env, &object);
  SetText(env, object, "mode", result.value().isolated ? "isolated" : "plain");
  SetText(env, object, "reason", result.value().reason);
  return object;
}

}  // namespace

NAPI_MODULE_INIT() {
  napi_value function = nullptr;
  if (napi_create_function(env, "load", NAPI_AUTO_LENGTH, Load, nullptr, &function) != napi_ok ||
      napi_set_named_property(env, exports, "load", function) != napi_ok) {
    napi_throw_error(env, "ERR_COLOOP_ADDON", "the loader could not be set up");
  }
  return exports;
}
