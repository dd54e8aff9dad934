// load({ library, plain }) -> { mode, reason, preloaded }; noteStarted(text); started() -> text
#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "loader/load.h"

namespace {

bool ReadText(napi_env env, napi_value value, std::string* text) {
  std::size_t length = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) return false;
  text->resize(length);
  return napi_get_value_string_utf8(env, value, text->data(), length + 1, &length) == napi_ok;
}

bool GetText(napi_env env, napi_value object, const char* name, std::string* text) {
  napi_value value = nullptr;
  return napi_get_named_property(env, object, name, &value) == napi_ok &&
         ReadText(env, value, text);
}

bool GetBool(napi_env env, napi_value object, const char* name, bool* result) {
  napi_value value = nullptr;
  return napi_get_named_property(env, object, name, &value) == napi_ok &&
         napi_get_value_bool(env, value, result) == napi_ok;
}

napi_value MakeText(napi_env env, const std::string& text) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

napi_value MakeResult(napi_env env, const coloop::loader::Loaded& loaded) {
  napi_value preloaded = nullptr;
  napi_create_array_with_length(env, loaded.preloaded.size(), &preloaded);
  for (std::uint32_t i = 0; i < loaded.preloaded.size(); ++i) {
    napi_set_element(env, preloaded, i, MakeText(env, loaded.preloaded[i]));
  }
  napi_value result = nullptr;
  napi_create_object(env, &result);
  napi_set_named_property(env, result, "mode",
                          MakeText(env, loaded.isolated ? "isolated" : "plain"));
  napi_set_named_property(env, result, "reason", MakeText(env, loaded.reason));
  napi_set_named_property(env, result, "preloaded", preloaded);
  return result;
}

napi_value Load(napi_env env, napi_callback_info info) {
  std::size_t count = 1;
  napi_value options = nullptr;
  std::string library;
  bool plain = false;
  if (napi_get_cb_info(env, info, &count, &options, nullptr, nullptr) != napi_ok ||
      !GetText(env, options, "library", &library) || !GetBool(env, options, "plain", &plain) ||
      library.empty()) {
    napi_throw_type_error(env, "ERR_COLOOP_ARGUMENT",
                          "load takes { library: string, plain: boolean }");
    return nullptr;
  }
  coloop::base::Result<coloop::loader::Loaded> result = coloop::loader::Load(library, plain);
  if (!result.ok()) {
    napi_throw_error(env, result.error().code.c_str(), result.error().message.c_str());
    return nullptr;
  }
  return MakeResult(env, result.value());
}

napi_value NoteStarted(napi_env env, napi_callback_info info) {
  std::size_t count = 1;
  napi_value value = nullptr;
  std::string text;
  if (napi_get_cb_info(env, info, &count, &value, nullptr, nullptr) == napi_ok &&
      ReadText(env, value, &text)) {
    coloop::loader::NoteStarted(text);
  }
  return nullptr;
}

napi_value Started(napi_env env, napi_callback_info) {
  return MakeText(env, coloop::loader::Started());
}

}  // namespace

NAPI_MODULE_INIT() {
  const struct {
    const char* name;
    napi_callback function;
  } functions[] = {{"load", Load}, {"noteStarted", NoteStarted}, {"started", Started}};
  for (const auto& [name, function] : functions) {
    napi_value value = nullptr;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value) != napi_ok ||
        napi_set_named_property(env, exports, name, value) != napi_ok) {
      napi_throw_error(env, "ERR_COLOOP_ADDON", "the loader could not be set up");
      break;
    }
  }
  return exports;
}
