// Reading primitives and encoded nodes; see NODE in kinds.def for their forms.
#include "convert/napi_source.h"

#include <node_api.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/array.h"
#include "base/check.h"
#include "convert/sink.h"

namespace coloop::convert {

namespace {
constexpr std::size_t kShortString = 256;
constexpr std::uint32_t kScopeChunk = 256;
}  // namespace

bool NapiSource::Ended() {
  error_ = "the JavaScript environment is ending";
  return false;
}

bool NapiSource::NoMemory() {
  error_ = "there is not enough memory to convert it";
  return false;
}

napi_value NapiSource::Element(napi_value node, std::uint32_t index) {
  napi_value element = nullptr;
  return napi_get_element(env_, node, index, &element) == napi_ok ? element : nullptr;
}

bool NapiSource::NumberAt(napi_value node, std::uint32_t index, double* number) {
  return napi_get_value_double(env_, Element(node, index), number) == napi_ok || Ended();
}

bool NapiSource::Read(napi_value value, Sink& sink) {
  napi_valuetype type = napi_undefined;
  if (napi_typeof(env_, value, &type) != napi_ok) return Ended();
  switch (type) {
    case napi_undefined:
    case napi_null:
      return sink.Null();
    case napi_boolean: {
      bool flag = false;
      napi_get_value_bool(env_, value, &flag);
      return sink.Bool(flag);
    }
    case napi_number:
      return ReadNumber(value, sink);
    case napi_string:
      return ReadString(value, sink);
    case napi_bigint:
      return ReadBigInt(value, sink);
    case napi_object:
      return ReadNode(value, sink);
    default:
      error_ = "a value of this type cannot cross";
      return false;
  }
}

bool NapiSource::ReadNumber(napi_value value, Sink& sink) {
  double number = 0;
  napi_get_value_double(env_, value, &number);
  const auto integer = static_cast<std::int64_t>(
      std::fabs(number) <= static_cast<double>(kMaxSafeInteger) ? number : 0.5);
  if (static_cast<double>(integer) == number && !(number == 0 && std::signbit(number))) {
    return sink.Int(integer);
  }
  return sink.Double(number);
}

bool NapiSource::ReadString(napi_value value, Sink& sink) {
  char16_t small[kShortString];
  std::size_t length = 0;
  if (napi_get_value_string_utf16(env_, value, small, kShortString, &length) != napi_ok)
    return false;
  if (length < kShortString - 1) return sink.Utf16(small, length);
  napi_get_value_string_utf16(env_, value, nullptr, 0, &length);
  const auto text = base::TryNewArray<char16_t>(length + 1);
  if (!text) return NoMemory();
  napi_get_value_string_utf16(env_, value, text.get(), length + 1, &length);
  return sink.Utf16(text.get(), length);
}

bool NapiSource::ReadBigInt(napi_value value, Sink& sink) {
  int sign = 0;
  std::size_t count = 0;
  if (napi_get_value_bigint_words(env_, value, nullptr, &count, nullptr) != napi_ok) return false;
  const auto words = base::TryNewArray<std::uint64_t>(count);
  if (!words) return NoMemory();
  if (count > 0 &&
      napi_get_value_bigint_words(env_, value, &sign, &count, words.get()) != napi_ok) {
    return false;
  }
  return sink.BigInt(sign != 0, words.get(), count);
}

bool NapiSource::ReadNumbers(napi_value node, Sink& sink) {
  void* data = nullptr;
  std::size_t length = 0;
  if (napi_get_typedarray_info(env_, Element(node, 1), nullptr, &length, &data, nullptr, nullptr) !=
      napi_ok) {
    return Ended();
  }
  return sink.Numbers(static_cast<const double*>(data), length);
}

bool NapiSource::ReadBuffer(napi_value node, Sink& sink) {
  void* data = nullptr;
  std::size_t length = 0;
  double id = 0;
  double item_size = 0;
  if (napi_get_typedarray_info(env_, Element(node, 2), nullptr, &length, &data, nullptr, nullptr) !=
      napi_ok) {
    return Ended();
  }
  if (!NumberAt(node, 1, &id) || !NumberAt(node, 4, &item_size)) return false;
  return sink.Buffer(static_cast<std::uint32_t>(id), data, length, TextOf(Element(node, 3)),
                     static_cast<std::size_t>(item_size));
}

bool NapiSource::ReadNode(napi_value node, Sink& sink) {
  std::uint32_t length = 0;
  double kind_number = 0;
  double first = 0;
  double second = 0;
  if (napi_get_array_length(env_, node, &length) != napi_ok || length == 0) return Ended();
  if (!NumberAt(node, 0, &kind_number)) return false;
  const auto kind = static_cast<NodeKind>(kind_number);
  switch (kind) {
    case NodeKind::kList:
      return sink.BeginList(length - 1) && ReadChildren(node, 1, length, sink, kind) && sink.End();
    case NodeKind::kSet:
      return sink.BeginSet(length - 1) && ReadChildren(node, 1, length, sink, kind) && sink.End();
    case NodeKind::kObject:
      return sink.BeginObject(length / 2) && ReadChildren(node, 1, length, sink, kind) &&
             sink.End();
    case NodeKind::kMap:
      return sink.BeginMap(length / 2) && ReadChildren(node, 1, length, sink, kind) && sink.End();
    case NodeKind::kNumbers:
      return ReadNumbers(node, sink);
    case NodeKind::kDate:
      return NumberAt(node, 1, &first) && sink.Date(first);
    case NodeKind::kBuffer:
      return ReadBuffer(node, sink);
    case NodeKind::kHost:
      return NumberAt(node, 1, &first) && NumberAt(node, 2, &second) &&
             sink.Host(static_cast<std::uint32_t>(first), static_cast<HostKind>(second));
    case NodeKind::kBack:
      return NumberAt(node, 1, &first) && sink.Back(static_cast<std::size_t>(first));
    case NodeKind::kPython: {
      if (!NumberAt(node, 1, &first)) return false;
      _object* object = objects_.Find(first);
      if (object == nullptr) {
        error_ = "the proxy is disposed";
        found_disposed_ = true;
        return false;
      }
      return sink.PythonProxy(object);
    }
  }
  COLOOP_UNREACHABLE();
}

bool NapiSource::ReadChildren(napi_value node, std::uint32_t first, std::uint32_t length,
                              Sink& sink, NodeKind kind) {
  std::uint32_t index = first;
  while (index < length) {
    napi_handle_scope scope = nullptr;
    if (napi_open_handle_scope(env_, &scope) != napi_ok) return false;
    const std::uint32_t end = length - index > kScopeChunk ? index + kScopeChunk : length;
    bool ok = true;
    for (; ok && index < end; ++index) ok = Read(Element(node, index), sink);
    if (!ok) PrependPath(node, index - 1, kind);
    napi_close_handle_scope(env_, scope);
    if (!ok) return false;
  }
  return true;
}

void NapiSource::PrependPath(napi_value node, std::uint32_t index, NodeKind kind) {
  if (kind == NodeKind::kList || kind == NodeKind::kSet) {
    path_.push_back("[" + std::to_string(index - 1) + "]");
    return;
  }
  // Keys stand at odd places, their values behind them.
  napi_value key = Element(node, index % 2 == 1 ? index : index - 1);
  napi_valuetype type = napi_undefined;
  napi_typeof(env_, key, &type);
  if (type == napi_string) {
    path_.push_back("." + TextOf(key));
  } else {
    path_.push_back("[key " + std::to_string((index - 1) / 2) + "]");
  }
}

std::string NapiSource::TextOf(napi_value value) {
  std::size_t length = 0;
  napi_get_value_string_utf8(env_, value, nullptr, 0, &length);
  std::string text(length, '\0');
  napi_get_value_string_utf8(env_, value, text.data(), length + 1, &length);
  return text;
}

std::string NapiSource::path() const {
  std::string text;
  for (auto part = path_.rbegin(); part != path_.rend(); ++part) text += *part;
  return text;
}

}  // namespace coloop::convert
