// What Python values become in JavaScript.
#include "bridge/exporter.h"

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/completion.h"
#include "bridge/deferred.h"
#include "bridge/env_data.h"
#include "bridge/helpers.h"
#include "bridge/js_host.h"
#include "bridge/throw.h"
#include "convert/napi_sink.h"
#include "convert/python_source.h"
#include "interp/error.h"
#include "interp/js_ref.h"
#include "interp/object.h"
#include "interp/ref.h"
#include "loop/task.h"

namespace coloop::bridge {

namespace {
// Out of memory, V8 ends the process for a native caller and throws for JavaScript.
constexpr std::size_t kLargeBuffer = std::size_t{64} * 1024;
}  // namespace

napi_value Exporter::Convert(_object* object, const char* root, int index) {
  convert::NapiSink sink(data_.env, *this);
  convert::Refusal refusal;
  if (convert::ReadPython(gil_, object, sink, *data_.link, &refusal)) return sink.value();
  failure_ = refusal.reason.empty() ? sink.error() : refusal.reason;
  if (failure_.empty() || refusal.path.empty()) return nullptr;
  const std::string where =
      index < 0 ? root : std::string(root) + "[" + std::to_string(index) + "]";
  failure_ = where + refusal.path + ": " + failure_;
  return nullptr;
}

napi_value Exporter::ConvertByReference(_object* object) {
  convert::NapiSink sink(data_.env, *this);
  if (convert::ReadPythonByReference(gil_, object, sink, *data_.link)) return sink.value();
  failure_ = sink.error();
  return nullptr;
}

void Exporter::RaiseFailure() {
  if (interp::HasException(gil_)) return;
  if (failure_.empty()) {
    RaisePendingJavaScript(data_, gil_);
  } else {
    interp::Raise(gil_, "TypeError", failure_);
  }
}

napi_value Exporter::FailureAsError() {
  if (interp::HasException(gil_)) {
    const interp::Owned exception = interp::TakeException(gil_);
    napi_value error = Exception(exception.get());
    // An interrupt of the call that failed by itself is not for what tells of that.
    if (error == nullptr && interp::TakeInterrupt(gil_)) error = Exception(exception.get());
    if (error != nullptr) return error;
    if (interp::TakeRecursionError(gil_) || TakeStackOverflow(data_.env)) {
      return OwnError(data_, "ERR_COLOOP_STACK",
                      "too little stack is left to tell what Python raised");
    }
  }
  bool pending = false;
  napi_value thrown = nullptr;
  napi_is_exception_pending(data_.env, &pending);
  if (pending && napi_get_and_clear_last_exception(data_.env, &thrown) == napi_ok) return thrown;
  if (interp::HasException(gil_)) (void)interp::TakeException(gil_);
  return OwnError(data_, "ERR_COLOOP_CONVERSION",
                  failure_.empty() ? "the value could not be converted" : failure_);
}

napi_value Exporter::Proxy(_object* object) { return data_.proxies.ProxyOf(gil_, object); }

napi_value Exporter::HostObject(std::uint32_t id) {
  napi_value argument = nullptr;
  napi_create_uint32(data_.env, id, &argument);
  return data_.CallHelper(Helper::kHostObject, 1, &argument);
}

napi_value Exporter::NewMap() { return data_.CallHelper(Helper::kNewMap, 0, nullptr); }
napi_value Exporter::NewSet() { return data_.CallHelper(Helper::kNewSet, 0, nullptr); }

std::size_t Exporter::max_buffer() const { return data_.max_buffer; }

napi_value Exporter::NewBuffer(std::size_t length, void** data) {
  napi_value buffer = nullptr;
  if (length < kLargeBuffer) {
    return napi_create_arraybuffer(data_.env, length, data, &buffer) == napi_ok ? buffer : nullptr;
  }
  napi_value size = nullptr;
  napi_create_double(data_.env, static_cast<double>(length), &size);
  buffer = data_.CallHelper(Helper::kNewBuffer, 1, &size);
  if (buffer == nullptr) {
    napi_value thrown = nullptr;
    napi_get_and_clear_last_exception(data_.env, &thrown);
    return nullptr;
  }
  return napi_get_arraybuffer_info(data_.env, buffer, data, nullptr) == napi_ok ? buffer : nullptr;
}

bool Exporter::Fill(napi_value container, napi_value contents) {
  napi_value arguments[] = {container, contents};
  return data_.CallHelper(Helper::kFill, 2, arguments) != nullptr;
}

napi_value Exporter::NumberArray(napi_value float64_array) {
  return data_.CallHelper(Helper::kNumberArray, 1, &float64_array);
}

bool Exporter::SetOwn(napi_value object, napi_value key, napi_value value) {
  napi_value arguments[] = {object, key, value};
  return data_.CallHelper(Helper::kSetOwn, 3, arguments) != nullptr;
}

// The description is made in Python, which knows tracebacks; the error object in TypeScript.
napi_value Exporter::Exception(_object* exception) {
  const interp::Owned description =
      interp::Vectorcall(gil_, data_.python.describe.get(), &exception, 1, nullptr);
  if (!description) return nullptr;
  napi_value converted = Convert(description.get());
  if (converted == nullptr) return nullptr;
  return data_.CallHelper(Helper::kMakeError, 1, &converted);
}

interp::Owned Exporter::TaskContext() {
  napi_value result = data_.CallHelper(Helper::kOpenScope, 0, nullptr);
  if (result == nullptr) return interp::Owned();
  std::uint32_t id = 0;
  napi_get_value_uint32(data_.env, result, &id);
  const interp::Owned resource = interp::MakeScope(gil_, data_.link, id);
  if (!resource) return interp::Owned();
  return interp::ContextWith(gil_, data_.python.async_resource.get(), resource.get());
}

napi_value Exporter::Promise(_object* awaitable) {
  if (!interp::RunsOn(gil_, awaitable, data_.loop_object.get())) return Proxy(awaitable);
  const interp::Owned context = data_.in_synchronous_call ? TaskContext() : interp::Owned();
  napi_value promise = nullptr;
  auto completion = std::make_unique<Deferred>(data_, gil_);
  if ((data_.in_synchronous_call && !context) || !completion->Create(&promise)) {
    interp::CloseCoroutine(gil_, awaitable);  // JavaScript is ending
    return nullptr;
  }
  task_ = loop::RunAwaitable(gil_, data_.loop_object.get(), awaitable, context.get(), true,
                             std::move(completion));
  if (!interp::HasException(gil_)) return promise;
  // The caller gets the exception; nobody has the promise, whose rejection would be unhandled.
  if (data_.CallHelper(Helper::kIgnoreRejection, 1, &promise) == nullptr) {
    napi_value thrown = nullptr;
    napi_get_and_clear_last_exception(data_.env, &thrown);
  }
  return nullptr;
}

napi_value OwnError(EnvData& data, const std::string& code, const std::string& message) {
  napi_value arguments[2];
  napi_create_string_utf8(data.env, code.data(), code.size(), &arguments[0]);
  napi_create_string_utf8(data.env, message.data(), message.size(), &arguments[1]);
  return data.CallHelper(Helper::kMakeOwnError, 2, arguments);
}

}  // namespace coloop::bridge
