// Calling, attributes, buffers and release, for the proxies of src/.
#include "bridge/calls.h"

#include <node_api.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/completion.h"
#include "base/counters.h"
#include "base/result.h"
#include "bridge/entry.h"
#include "bridge/env_data.h"
#include "convert/napi_source.h"
#include "convert/python_sink.h"
#include "interp/error.h"
#include "interp/gil.h"
#include "interp/object.h"
#include "interp/ref.h"

namespace coloop::bridge {

namespace {

using interp::Owned;

constexpr std::size_t kMaxInline = 9;  // the handle and eight arguments

struct Arguments {
  napi_value values[kMaxInline];
  std::size_t count = kMaxInline;
  EnvData* data = nullptr;
};

bool Read(napi_env env, napi_callback_info info, Arguments* arguments) {
  void* data = nullptr;
  if (napi_get_cb_info(env, info, &arguments->count, arguments->values, nullptr, &data) !=
      napi_ok) {
    return false;
  }
  arguments->data = static_cast<EnvData*>(data);
  return true;
}

double Number(napi_env env, napi_value value) {
  double number = 0;
  napi_get_value_double(env, value, &number);
  return number;
}

_object* Find(Entry& entry, EnvData& data, napi_value handle) {
  _object* object = data.proxies.Find(Number(data.env, handle));
  if (object == nullptr) {
    entry.Fail("ERR_COLOOP_DISPOSED", "the proxy was disposed, or Python was closed since");
  }
  return object;
}

// Converts encoded values to Python objects, which it owns; sets the entry's error.
class Converter {
 public:
  Converter(Entry& entry, EnvData& data)
      : entry_(entry),
        env_(data.env),
        sink_(entry.gil(), data.link),
        source_(data.env, data.proxies) {}

  // `root[index]` is what errors call it, or `root.key`.
  bool Add(napi_value value, const char* root, std::size_t index, napi_value key = nullptr) {
    if (source_.Read(value, sink_)) {
      owned_[count_] = sink_.Take();
      objects_[count_] = owned_[count_].get();
      ++count_;
      return true;
    }
    const std::string where =
        key == nullptr ? "[" + std::to_string(index) + "]" : "." + TextOf(env_, key);
    const std::string message = root + where + source_.path() + ": ";
    if (source_.error().empty()) {
      const base::Error cause = interp::TakeAsError(entry_.gil(), "ERR_COLOOP_CONVERSION");
      entry_.Fail(cause.code, message + cause.message);
    } else {
      const bool disposed = source_.found_disposed();
      entry_.Fail(disposed ? "ERR_COLOOP_DISPOSED" : "ERR_COLOOP_CONVERSION",
                  message + source_.error());
    }
    return false;
  }

  void Reserve(std::size_t count) {
    if (count <= kMaxInline) return;
    many_owned_.resize(count);
    many_objects_.resize(count);
    owned_ = many_owned_.data();
    objects_ = many_objects_.data();
  }
  [[nodiscard]] _object** objects() { return objects_; }
  [[nodiscard]] std::size_t count() const { return count_; }

 private:
  Entry& entry_;
  napi_env env_;
  convert::PythonSink sink_;
  convert::NapiSource source_;
  Owned few_owned_[kMaxInline];
  _object* few_objects_[kMaxInline];
  std::vector<Owned> many_owned_;
  std::vector<_object*> many_objects_;
  Owned* owned_ = few_owned_;
  _object** objects_ = few_objects_;
  std::size_t count_ = 0;
};

// call(handle, ...at most eight encoded arguments) -> value
napi_value Call(napi_env env, napi_callback_info info) {
  Arguments arguments;
  if (!Read(env, info, &arguments)) return nullptr;
  EnvData& data = *arguments.data;
  Entry entry(data);
  if (!entry.ok()) return nullptr;
  _object* callable = Find(entry, data, arguments.values[0]);
  if (callable == nullptr) return nullptr;
  const Owned held = Owned::NewRef(callable);
  Converter converter(entry, data);
  for (std::size_t i = 1; i < arguments.count; ++i) {
    if (!converter.Add(arguments.values[i], "args", i - 1)) return nullptr;
  }
  const Owned result =
      interp::Vectorcall(entry.gil(), callable, converter.objects(), converter.count(), nullptr);
  if (!result) return entry.Fail();
  napi_value value = entry.exporter().Convert(result.get());
  return value != nullptr ? value : entry.Fail();
}

bool AddAll(napi_env env, Converter& converter, napi_value array, std::uint32_t length,
            const char* root, napi_value keys = nullptr) {
  for (std::uint32_t i = 0; i < length; ++i) {
    napi_value element = nullptr;
    napi_value key = nullptr;
    napi_get_element(env, array, i, &element);
    if (keys != nullptr) napi_get_element(env, keys, i, &key);
    if (!converter.Add(element, root, i, key)) return false;
  }
  return true;
}

// callWith(handle, encoded arguments[], keyword names[], encoded keyword values[], by reference)
//   -> [value, proxy of the Task or undefined]
napi_value CallWith(napi_env env, napi_callback_info info) {
  Arguments arguments;
  if (!Read(env, info, &arguments)) return nullptr;
  EnvData& data = *arguments.data;
  Entry entry(data);
  if (!entry.ok()) return nullptr;
  _object* callable = Find(entry, data, arguments.values[0]);
  if (callable == nullptr) return nullptr;
  const Owned held = Owned::NewRef(callable);
  std::uint32_t positional = 0;
  std::uint32_t keywords = 0;
  napi_get_array_length(env, arguments.values[1], &positional);
  napi_get_array_length(env, arguments.values[2], &keywords);
  Converter names(entry, data);
  names.Reserve(keywords);
  if (!AddAll(env, names, arguments.values[2], keywords, "keyword names")) return nullptr;
  Converter converter(entry, data);
  converter.Reserve(positional + keywords);
  if (!AddAll(env, converter, arguments.values[1], positional, "args") ||
      !AddAll(env, converter, arguments.values[3], keywords, "kwargs", arguments.values[2])) {
    return nullptr;
  }
  const Owned keyword_names =
      keywords > 0 ? interp::Tuple(entry.gil(), names.objects(), names.count()) : Owned();
  const Owned result = interp::Vectorcall(entry.gil(), callable, converter.objects(), positional,
                                          keyword_names.get());
  if (!result) return entry.Fail();
  bool by_reference = false;
  napi_get_value_bool(env, arguments.values[4], &by_reference);
  Exporter& exporter = entry.exporter();
  napi_value value =
      by_reference ? exporter.ConvertByReference(result.get()) : exporter.Convert(result.get());
  if (value == nullptr) return entry.Fail();
  napi_value pair = nullptr;
  napi_create_array_with_length(env, 2, &pair);
  napi_set_element(env, pair, 0, value);
  const Owned task = exporter.TakeTask();
  if (task) {
    napi_value proxy = exporter.Proxy(task.get());
    if (proxy == nullptr) return entry.Fail();
    napi_set_element(env, pair, 1, proxy);
  }
  return pair;
}

// internName(name) -> number, for getAttribute
napi_value InternName(napi_env env, napi_callback_info info) {
  Arguments arguments;
  if (!Read(env, info, &arguments)) return nullptr;
  EnvData& data = *arguments.data;
  Entry entry(data);
  if (!entry.ok()) return nullptr;
  std::size_t length = 0;
  napi_get_value_string_utf16(env, arguments.values[0], nullptr, 0, &length);
  std::u16string text(length, u'\0');
  napi_get_value_string_utf16(env, arguments.values[0], text.data(), length + 1, &length);
  Owned name = interp::InternName(entry.gil(), text.data(), length);
  if (!name) return entry.Fail();
  data.names.push_back(std::move(name));
  napi_value number = nullptr;
  napi_create_uint32(env, static_cast<std::uint32_t>(data.names.size() - 1), &number);
  return number;
}

// getAttribute(handle, name number, by reference) -> value
napi_value GetAttribute(napi_env env, napi_callback_info info) {
  Arguments arguments;
  if (!Read(env, info, &arguments)) return nullptr;
  EnvData& data = *arguments.data;
  Entry entry(data);
  if (!entry.ok()) return nullptr;
  _object* object = Find(entry, data, arguments.values[0]);
  if (object == nullptr) return nullptr;
  const Owned held = Owned::NewRef(object);
  const auto name = static_cast<std::size_t>(Number(env, arguments.values[1]));
  const Owned result = interp::GetAttribute(entry.gil(), object, data.names[name].get());
  if (!result) return entry.Fail();
  bool by_reference = false;
  napi_get_value_bool(env, arguments.values[2], &by_reference);
  napi_value value = by_reference ? entry.exporter().ConvertByReference(result.get())
                                  : entry.exporter().Convert(result.get());
  return value != nullptr ? value : entry.Fail();
}

void ReleaseView(napi_env, void*, void* pinned) {
  const interp::GilAcquire acquire;
  if (acquire.ok()) interp::UnpinBuffer(acquire.gil(), pinned);
}

// view(handle, copy) -> [ArrayBuffer, format, item size]
napi_value View(napi_env env, napi_callback_info info) {
  Arguments arguments;
  if (!Read(env, info, &arguments)) return nullptr;
  EnvData& data = *arguments.data;
  Entry entry(data);
  if (!entry.ok()) return nullptr;
  _object* object = Find(entry, data, arguments.values[0]);
  if (object == nullptr) return nullptr;
  bool copy = false;
  napi_get_value_bool(env, arguments.values[1], &copy);
  interp::BufferView view;
  if (!interp::PinBuffer(entry.gil(), object, &view)) return entry.Fail();
  napi_value buffer = nullptr;
  napi_status status = napi_ok;
  if (copy || view.length == 0) {
    void* memory = nullptr;
    status = napi_create_arraybuffer(env, view.length, &memory, &buffer);
    if (status == napi_ok && view.length > 0) std::memcpy(memory, view.data, view.length);
    interp::UnpinBuffer(entry.gil(), view.pinned);
  } else if (view.read_only) {
    interp::UnpinBuffer(entry.gil(), view.pinned);
    return entry.Fail("ERR_COLOOP_READ_ONLY",
                      "the buffer is read-only; use $view({ copy: true }) for a copy");
  } else {
    status = napi_create_external_arraybuffer(env, view.data, view.length, ReleaseView, view.pinned,
                                              &buffer);
    if (status != napi_ok) ReleaseView(env, nullptr, view.pinned);
  }
  if (status != napi_ok) {
    return entry.Fail("ERR_COLOOP_CONVERSION", "JavaScript could not make a buffer of this memory");
  }
  napi_value result = nullptr;
  napi_value format = nullptr;
  napi_value item_size = nullptr;
  napi_create_array_with_length(env, 3, &result);
  napi_create_string_utf8(env, view.format.c_str(), view.format.size(), &format);
  napi_create_double(env, static_cast<double>(view.item_size), &item_size);
  napi_set_element(env, result, 0, buffer);
  napi_set_element(env, result, 1, format);
  napi_set_element(env, result, 2, item_size);
  return result;
}

// release(handle) -> whether the proxy was live
napi_value Release(napi_env env, napi_callback_info info) {
  Arguments arguments;
  if (!Read(env, info, &arguments)) return nullptr;
  EnvData& data = *arguments.data;
  bool released = false;
  if (data.started()) {
    Entry entry(data);
    if (!entry.ok()) return nullptr;
    released = data.proxies.Release(entry.gil(), Number(env, arguments.values[0]));
  }
  napi_value value = nullptr;
  napi_get_boolean(env, released, &value);
  return value;
}

// isLive(handle) -> whether the proxy can still be used
napi_value IsLive(napi_env env, napi_callback_info info) {
  Arguments arguments;
  if (!Read(env, info, &arguments)) return nullptr;
  EnvData& data = *arguments.data;
  napi_value value = nullptr;
  napi_get_boolean(env, data.proxies.Find(Number(env, arguments.values[0])) != nullptr, &value);
  return value;
}

// adopted(id) -> whether a Python object stands for this JavaScript object
napi_value Adopted(napi_env env, napi_callback_info info) {
  Arguments arguments;
  if (!Read(env, info, &arguments)) return nullptr;
  EnvData& data = *arguments.data;
  bool adopted = false;
  {
    const interp::GilAcquire acquire;
    const auto id = static_cast<std::uint32_t>(Number(env, arguments.values[0]));
    adopted = acquire.ok() && data.link != nullptr && data.link->entries.contains(id) &&
              data.link->entries[id].wrappers > 0;
  }
  napi_value value = nullptr;
  napi_get_boolean(env, adopted, &value);
  return value;
}

// counters() -> { name: live objects }
napi_value Counters(napi_env env, napi_callback_info) {
  napi_value object = nullptr;
  napi_create_object(env, &object);
  for (std::size_t i = 0; i < base::kLiveNames.size(); ++i) {
    napi_value number = nullptr;
    napi_create_int64(env, base::LiveCount(static_cast<base::Live>(i)), &number);
    napi_set_named_property(env, object, base::kLiveNames[i], number);
  }
  return object;
}

}  // namespace

bool AddCalls(napi_env env, napi_value exports) {
  const struct {
    const char* name;
    napi_callback function;
  } functions[] = {
      {"call", Call},
      {"callWith", CallWith},
      {"internName", InternName},
      {"getAttribute", GetAttribute},
      {"view", View},
      {"release", Release},
      {"isLive", IsLive},
      {"adopted", Adopted},
      {"counters", Counters},
  };
  for (const auto& [name, function] : functions) {
    napi_value value = nullptr;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, function, DataOf(env), &value) !=
            napi_ok ||
        napi_set_named_property(env, exports, name, value) != napi_ok) {
      return false;
    }
  }
  return true;
}

}  // namespace coloop::bridge
