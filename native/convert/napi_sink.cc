// Building JavaScript values from the calls of a source.
#include "convert/napi_sink.h"

#include <node_api.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/check.h"
#include "convert/sink.h"

namespace coloop::convert {

namespace {
// V8 ends the process for an array whose elements it cannot hold, which is near 2 ** 27 of them.
constexpr std::size_t kMaxElements = (std::size_t{1} << 27) - 1024;
// Likewise for an object whose table of properties it cannot hold, near 1.3 times this.
constexpr std::size_t kMaxProperties = std::size_t{1} << 24;
}  // namespace

std::string BufferTooLong(std::size_t length, std::size_t limit) {
  return std::to_string(length) + " bytes are more than a JavaScript buffer can have, " +
         std::to_string(limit);
}

bool NapiSink::Created(int status, const char* what) {
  if (status == napi_ok) return true;
  // A BigInt that is too large leaves a RangeError behind as well.
  bool pending = false;
  napi_value thrown = nullptr;
  if (napi_is_exception_pending(env_, &pending) == napi_ok && pending) {
    napi_get_and_clear_last_exception(env_, &thrown);
  }
  error_ = std::string("JavaScript could not make ") + what + " (is it too large?)";
  return false;
}

napi_value NapiSink::NewArray(std::size_t length, const char* what) {
  napi_value array = nullptr;
  const int status = length <= kMaxElements ? napi_create_array_with_length(env_, length, &array)
                                            : napi_invalid_arg;
  return Created(status, what) ? array : nullptr;
}

napi_value NapiSink::NewBuffer(std::size_t length, void** data, const char* what) {
  if (length > exporter_.max_buffer()) {
    error_ = BufferTooLong(length, exporter_.max_buffer()) +
             "; pass them in parts, or as a proxy with coloop.ref()";
    return nullptr;
  }
  napi_value buffer = exporter_.NewBuffer(length, data);
  return Created(buffer != nullptr ? napi_ok : napi_generic_failure, what) ? buffer : nullptr;
}

bool NapiSink::Put(napi_value value) {
  if (value == nullptr) return false;
  if (frames_.empty()) {
    value_ = value;
    return true;
  }
  Frame& frame = frames_.back();
  if (frame.kind == Kind::kObject) return PutProperty(frame, value);
  return napi_set_element(env_, frame.container, frame.filled++, value) == napi_ok;
}

bool NapiSink::PutProperty(Frame& frame, napi_value value) {
  if (frame.key == nullptr) {
    frame.key = value;
    return true;
  }
  napi_value key = frame.key;
  frame.key = nullptr;
  if (frame.key_is_proto) {
    frame.key_is_proto = false;
    return exporter_.SetOwn(frame.container, key, value);
  }
  return napi_set_property(env_, frame.container, key, value) == napi_ok;
}

bool NapiSink::Begin(napi_value container, napi_value result, Kind kind) {
  if (container == nullptr || result == nullptr) return false;
  containers_.push_back(result);
  frames_.push_back(Frame{container, nullptr, 0, kind, result});
  return true;
}

bool NapiSink::End() {
  COLOOP_CHECK(!frames_.empty());
  const Frame frame = frames_.back();
  frames_.pop_back();
  const bool filled =
      frame.result == frame.container || exporter_.Fill(frame.result, frame.container);
  return Created(filled ? napi_ok : napi_generic_failure,
                 frame.kind == Kind::kMap ? "this dict" : "this set") &&
         Put(frame.result);
}

bool NapiSink::Null() {
  napi_value value = nullptr;
  napi_get_null(env_, &value);
  return Put(value);
}

bool NapiSink::Bool(bool flag) {
  napi_value value = nullptr;
  napi_get_boolean(env_, flag, &value);
  return Put(value);
}

bool NapiSink::Int(std::int64_t number) {
  napi_value value = nullptr;
  napi_create_int64(env_, number, &value);
  return Put(value);
}

bool NapiSink::Double(double number) {
  napi_value value = nullptr;
  napi_create_double(env_, number, &value);
  return Put(value);
}

bool NapiSink::BigInt(bool negative, const std::uint64_t* words, std::size_t count) {
  napi_value value = nullptr;
  return Created(napi_create_bigint_words(env_, negative ? 1 : 0, count, words, &value),
                 "this integer") &&
         Put(value);
}

bool NapiSink::PutString(napi_value value, bool is_proto) {
  if (is_proto && !frames_.empty() && frames_.back().key == nullptr) {
    frames_.back().key_is_proto = true;
  }
  return Put(value);
}

bool NapiSink::Latin1(const char* text, std::size_t length) {
  napi_value value = nullptr;
  return Created(napi_create_string_latin1(env_, text, length, &value), "this string") &&
         PutString(value, std::string_view(text, length) == "__proto__");
}

bool NapiSink::Utf16(const char16_t* text, std::size_t length) {
  napi_value value = nullptr;
  return Created(napi_create_string_utf16(env_, text, length, &value), "this string") && Put(value);
}

bool NapiSink::Date(double milliseconds) {
  napi_value value = nullptr;
  return Created(napi_create_date(env_, milliseconds, &value), "this date") && Put(value);
}

bool NapiSink::Bytes(const void* data, std::size_t length) {
  void* memory = nullptr;
  napi_value value = nullptr;
  napi_value buffer = NewBuffer(length, &memory, "these bytes");
  if (buffer == nullptr) return false;
  if (length > 0) std::memcpy(memory, data, length);
  return Created(napi_create_typedarray(env_, napi_uint8_array, length, buffer, 0, &value),
                 "these bytes") &&
         Put(value);
}

bool NapiSink::Numbers(const double* values, std::size_t count) {
  if (count > kMaxElements) return Created(napi_invalid_arg, "this list");
  void* memory = nullptr;
  napi_value typed = nullptr;
  napi_value buffer = NewBuffer(count * sizeof(double), &memory, "this list");
  if (buffer == nullptr) return false;
  std::memcpy(memory, values, count * sizeof(double));
  if (!Created(napi_create_typedarray(env_, napi_float64_array, count, buffer, 0, &typed),
               "this list")) {
    return false;
  }
  napi_value array = exporter_.NumberArray(typed);
  if (array == nullptr) return false;
  containers_.push_back(array);
  return Put(array);
}

bool NapiSink::BeginList(std::size_t count) {
  napi_value array = NewArray(count, "this list");
  return Begin(array, array, Kind::kList);
}

bool NapiSink::BeginObject(std::size_t count) {
  if (count > kMaxProperties) return Created(napi_invalid_arg, "this dict");
  napi_value object = nullptr;
  napi_create_object(env_, &object);
  return Begin(object, object, Kind::kObject);
}

bool NapiSink::BeginMap(std::size_t count) {
  napi_value contents = NewArray(2 * count, "this dict");
  return contents != nullptr && Begin(contents, exporter_.NewMap(), Kind::kMap);
}

bool NapiSink::BeginSet(std::size_t count) {
  napi_value contents = NewArray(count, "this set");
  return contents != nullptr && Begin(contents, exporter_.NewSet(), Kind::kSet);
}

bool NapiSink::Back(std::size_t index) {
  COLOOP_CHECK(index < containers_.size());
  return Put(containers_[index]);
}

bool NapiSink::Buffer(std::uint32_t id, void*, std::size_t, const std::string&, std::size_t) {
  return Host(id, HostKind::kObject);
}

bool NapiSink::Host(std::uint32_t id, HostKind) { return Put(exporter_.HostObject(id)); }
bool NapiSink::PythonProxy(_object* object) { return Put(exporter_.Proxy(object)); }
bool NapiSink::PythonAwaitable(_object* object) { return Put(exporter_.Promise(object)); }
bool NapiSink::PythonException(_object* object) { return Put(exporter_.Exception(object)); }

}  // namespace coloop::convert
