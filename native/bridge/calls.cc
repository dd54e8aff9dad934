// Calling, attributes, buffers and release, for the proxies of src/.
#include "bridge/calls.h"

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/completion.h"
#include "base/counters.h"
#include "base/result.h"
#include "bridge/entry.h"
#include "bridge/env_data.h"
#include "convert/napi_sink.h"
#include "convert/napi_source.h"
#include "convert/python_sink.h"
#include "interp/error.h"
#include "interp/gil.h"
#include "interp/object.h"
#include "interp/ref.h"
#include "interp/run.h"
#include "interp/watch.h"

namespace coloop::bridge {

namespace {

using interp::Owned;

constexpr std::size_t kMaxInline = 9;  // the handle and eight arguments

struct Arguments {
  napi_value values[kMaxInline];
  std::size_t count = kMaxInline;
};

// What every function of this file begins with.
template <napi_value (*kFunction)(EnvData& data, const Arguments& arguments)>
napi_value Plain(napi_env env, napi_callback_info info) {
  Arguments arguments;
  void* data = nullptr;
  if (napi_get_cb_info(env, info, &arguments.count, arguments.values, nullptr, &data) != napi_ok) {
    return nullptr;
  }
  return kFunction(*static_cast<EnvData*>(data), arguments);
}

// The same for one that enters Python.
template <napi_value (*kFunction)(Entry& entry, EnvData& data, const Arguments& arguments)>
napi_value Entered(EnvData& data, const Arguments& arguments) {
  Entry entry(data);
  return entry.ok() ? kFunction(entry, data, arguments) : nullptr;
}

double Number(napi_env env, napi_value value) {
  double number = 0;
  napi_get_value_double(env, value, &number);
  return number;
}

// The object of a handle, kept while the function runs; null with the entry's error set.
Owned Find(Entry& entry, EnvData& data, napi_value handle) {
  _object* object = data.proxies.Find(Number(data.env, handle));
  if (object == nullptr) {
    entry.Fail("ERR_COLOOP_DISPOSED", "the proxy was disposed, or Python was closed since");
  }
  return Owned::NewRef(object);
}

// What errors call the values of one array: `label`, `root.key` or `root[index]`.
struct Names {
  const char* root;
  napi_value keys = nullptr;
  napi_value labels = nullptr;
};

// Converts encoded values to Python objects, which it owns; sets the entry's error.
class Converter {
 public:
  Converter(Entry& entry, EnvData& data)
      : entry_(entry),
        env_(data.env),
        sink_(entry.gil(), data.link),
        source_(data.env, data.proxies) {}

  bool Add(napi_value value, const Names& names, std::uint32_t index) {
    if (source_.Read(value, sink_)) {
      owned_[count_] = sink_.Take();
      objects_[count_] = owned_[count_].get();
      ++count_;
      return true;
    }
    const std::string message = Where(names, index) + source_.path() + ": ";
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
  [[nodiscard]] std::string ElementText(napi_value array, std::uint32_t index) const {
    napi_value element = nullptr;
    if (array == nullptr || napi_get_element(env_, array, index, &element) != napi_ok) return "";
    return TextOf(env_, element);
  }
  [[nodiscard]] std::string Where(const Names& names, std::uint32_t index) const {
    std::string label = ElementText(names.labels, index);
    if (!label.empty()) return label;
    const std::string key = ElementText(names.keys, index);
    return names.root + (key.empty() ? "[" + std::to_string(index) + "]" : "." + key);
  }

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

// Calls, and ends the run: interrupts are for the call until it returns. A coroutine function only
// makes its coroutine; what is interrupted is the Task.
Owned Perform(Entry& entry, _object* callable, _object* const* arguments, std::size_t count,
              _object* keyword_names) {
  const interp::Gil& gil = entry.gil();
  if (interp::MakesCoroutine(gil, callable) && !entry.EndRun()) return Owned();
  Owned result = interp::Vectorcall(gil, callable, arguments, count, keyword_names);
  if (!result) interp::ExplainMissingFrame(gil, callable);
  if (!result || !entry.EndRun()) return Owned();
  return result;
}

// call(handle, ...at most eight encoded arguments) -> value
napi_value Call(Entry& entry, EnvData& data, const Arguments& arguments) {
  const Owned callable = Find(entry, data, arguments.values[0]);
  if (!callable) return nullptr;
  Converter converter(entry, data);
  const Names names{"args"};
  for (std::size_t i = 1; i < arguments.count; ++i) {
    if (!converter.Add(arguments.values[i], names, static_cast<std::uint32_t>(i - 1)))
      return nullptr;
  }
  const Owned result =
      Perform(entry, callable.get(), converter.objects(), converter.count(), nullptr);
  if (!result) return entry.Fail();
  napi_value value = entry.exporter().Convert(result.get());
  return value != nullptr ? value : entry.Fail();
}

bool AddAll(napi_env env, Converter& converter, napi_value array, std::uint32_t length,
            const Names& names) {
  for (std::uint32_t i = 0; i < length; ++i) {
    napi_value element = nullptr;
    napi_get_element(env, array, i, &element);
    if (!converter.Add(element, names, i)) return false;
  }
  return true;
}

// callWith(handle, encoded arguments[], keyword names[], encoded keyword values[], by reference,
//   names of the first arguments[] or undefined, watch or undefined)
//   -> [value, proxy of the Task or undefined]
napi_value CallWith(Entry& entry, EnvData& data, const Arguments& arguments) {
  const auto watch = static_cast<std::uint64_t>(Number(data.env, arguments.values[6]));
  if (watch != 0) interp::WatchRun(watch, entry.run());
  const Owned callable = Find(entry, data, arguments.values[0]);
  if (!callable) return nullptr;
  std::uint32_t positional = 0;
  std::uint32_t keywords = 0;
  napi_get_array_length(data.env, arguments.values[1], &positional);
  napi_get_array_length(data.env, arguments.values[2], &keywords);
  Converter names(entry, data);
  names.Reserve(keywords);
  if (!AddAll(data.env, names, arguments.values[2], keywords, {"keyword names"})) return nullptr;
  Converter converter(entry, data);
  converter.Reserve(positional + keywords);
  if (!AddAll(data.env, converter, arguments.values[1], positional,
              {"args", nullptr, arguments.values[5]}) ||
      !AddAll(data.env, converter, arguments.values[3], keywords,
              {"kwargs", arguments.values[2]})) {
    return nullptr;
  }
  const Owned keyword_names =
      keywords > 0 ? interp::Tuple(entry.gil(), names.objects(), names.count()) : Owned();
  const Owned result =
      Perform(entry, callable.get(), converter.objects(), positional, keyword_names.get());
  if (!result) return entry.Fail();
  const interp::CallStarts starts(*data.lane, watch != 0 ? entry.run() : 0);
  bool by_reference = false;
  napi_get_value_bool(data.env, arguments.values[4], &by_reference);
  Exporter& exporter = entry.exporter();
  napi_value value =
      by_reference ? exporter.ConvertByReference(result.get()) : exporter.Convert(result.get());
  if (value == nullptr) return entry.Fail();
  napi_value pair = nullptr;
  napi_create_array_with_length(data.env, 2, &pair);
  napi_set_element(data.env, pair, 0, value);
  const Owned task = exporter.TakeTask();
  if (task) {
    if (watch != 0) interp::WatchTask(entry.gil(), watch, task.get());
    napi_value proxy = exporter.Proxy(task.get());
    if (proxy == nullptr) return entry.Fail();
    napi_set_element(data.env, pair, 1, proxy);
  }
  return pair;
}

// internName(name) -> number, for getAttribute
napi_value InternName(Entry& entry, EnvData& data, const Arguments& arguments) {
  std::size_t length = 0;
  napi_get_value_string_utf16(data.env, arguments.values[0], nullptr, 0, &length);
  std::u16string text(length, u'\0');
  napi_get_value_string_utf16(data.env, arguments.values[0], text.data(), length + 1, &length);
  Owned name = interp::InternName(entry.gil(), text.data(), length);
  if (!name) return entry.Fail();
  data.names.push_back(std::move(name));
  napi_value number = nullptr;
  napi_create_uint32(data.env, static_cast<std::uint32_t>(data.names.size() - 1), &number);
  return number;
}

// getAttribute(handle, name number, by reference) -> value
napi_value GetAttribute(Entry& entry, EnvData& data, const Arguments& arguments) {
  const Owned object = Find(entry, data, arguments.values[0]);
  if (!object) return nullptr;
  const auto name = static_cast<std::size_t>(Number(data.env, arguments.values[1]));
  const Owned result = interp::GetAttribute(entry.gil(), object.get(), data.names[name].get());
  if (!result || !entry.EndRun()) return entry.Fail();
  bool by_reference = false;
  napi_get_value_bool(data.env, arguments.values[2], &by_reference);
  napi_value value = by_reference ? entry.exporter().ConvertByReference(result.get())
                                  : entry.exporter().Convert(result.get());
  return value != nullptr ? value : entry.Fail();
}

void ReleaseView(napi_env, void*, void* pinned) {
  const interp::GilAcquire acquire;
  if (acquire.ok()) interp::UnpinBuffer(acquire.gil(), pinned);
}

// view(handle, copy) -> [ArrayBuffer, format, item size]
napi_value View(Entry& entry, EnvData& data, const Arguments& arguments) {
  const Owned object = Find(entry, data, arguments.values[0]);
  if (!object) return nullptr;
  bool copy = false;
  napi_get_value_bool(data.env, arguments.values[1], &copy);
  interp::BufferView view;
  if (!interp::PinBuffer(entry.gil(), object.get(), copy, &view)) {
    if (copy || !interp::TakeNotContiguous(entry.gil(), object.get())) return entry.Fail();
    return entry.Fail(
        "ERR_COLOOP_CONVERSION",
        "the buffer's items do not lie one behind the other (it is not C-contiguous); "
        "use $view({ copy: true }) for a copy");
  }
  const std::size_t limit = entry.exporter().max_buffer();
  if (view.length > limit) {
    interp::UnpinBuffer(entry.gil(), view.pinned);
    return entry.Fail("ERR_COLOOP_CONVERSION",
                      convert::BufferTooLong(view.length, limit) +
                          "; view it in parts, for example memoryview(x)[:n]");
  }
  napi_value buffer = nullptr;
  napi_status status = napi_ok;
  if (copy || view.length == 0) {
    void* memory = nullptr;
    buffer = entry.exporter().NewBuffer(view.length, &memory);
    status = buffer != nullptr ? napi_ok : napi_generic_failure;
    const bool copied =
        status != napi_ok || view.length == 0 || interp::CopyBuffer(entry.gil(), view, memory);
    interp::UnpinBuffer(entry.gil(), view.pinned);
    if (!copied) return entry.Fail();
  } else if (view.read_only) {
    interp::UnpinBuffer(entry.gil(), view.pinned);
    return entry.Fail("ERR_COLOOP_READ_ONLY",
                      "the buffer is read-only; use $view({ copy: true }) for a copy");
  } else {
    status = napi_create_external_arraybuffer(data.env, view.data, view.length, ReleaseView,
                                              view.pinned, &buffer);
    if (status != napi_ok) ReleaseView(data.env, nullptr, view.pinned);
  }
  if (status != napi_ok) {
    return entry.Fail("ERR_COLOOP_CONVERSION", "JavaScript could not make a buffer of this memory");
  }
  napi_value result = nullptr;
  napi_value format = nullptr;
  napi_value item_size = nullptr;
  napi_create_array_with_length(data.env, 3, &result);
  napi_create_string_utf8(data.env, view.format.c_str(), view.format.size(), &format);
  napi_create_double(data.env, static_cast<double>(view.item_size), &item_size);
  napi_set_element(data.env, result, 0, buffer);
  napi_set_element(data.env, result, 1, format);
  napi_set_element(data.env, result, 2, item_size);
  return result;
}

// release(handle) -> whether the proxy was live
napi_value Release(EnvData& data, const Arguments& arguments) {
  bool released = false;
  if (data.started()) {
    Entry entry(data);
    if (!entry.ok()) return nullptr;
    released = data.proxies.Release(entry.gil(), Number(data.env, arguments.values[0]));
  }
  napi_value value = nullptr;
  napi_get_boolean(data.env, released, &value);
  return value;
}

// isLive(handle) -> whether the proxy can still be used
napi_value IsLive(EnvData& data, const Arguments& arguments) {
  napi_value value = nullptr;
  napi_get_boolean(data.env, data.proxies.Find(Number(data.env, arguments.values[0])) != nullptr,
                   &value);
  return value;
}

// adopted(id) -> whether a Python object stands for this JavaScript object
napi_value Adopted(EnvData& data, const Arguments& arguments) {
  bool adopted = false;
  {
    const interp::GilAcquire acquire;
    const auto id = static_cast<std::uint32_t>(Number(data.env, arguments.values[0]));
    adopted = acquire.ok() && data.link != nullptr && data.link->entries.contains(id) &&
              data.link->entries[id].wrappers > 0;
  }
  napi_value value = nullptr;
  napi_get_boolean(data.env, adopted, &value);
  return value;
}

// counters() -> { name: live objects }
napi_value Counters(EnvData& data, const Arguments&) {
  napi_value object = nullptr;
  napi_create_object(data.env, &object);
  for (std::size_t i = 0; i < base::kLiveNames.size(); ++i) {
    napi_value number = nullptr;
    napi_create_int64(data.env, base::LiveCount(static_cast<base::Live>(i)), &number);
    napi_set_named_property(data.env, object, base::kLiveNames[i], number);
  }
  return object;
}

}  // namespace

bool AddCalls(napi_env env, napi_value exports) {
  const struct {
    const char* name;
    napi_callback function;
  } functions[] = {
      {"call", Plain<Entered<Call>>},
      {"callWith", Plain<Entered<CallWith>>},
      {"internName", Plain<Entered<InternName>>},
      {"getAttribute", Plain<Entered<GetAttribute>>},
      {"view", Plain<Entered<View>>},
      {"release", Plain<Release>},
      {"isLive", Plain<IsLive>},
      {"adopted", Plain<Adopted>},
      {"counters", Plain<Counters>},
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
