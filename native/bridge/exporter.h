// Python values to JavaScript values in one environment: proxies, promises and errors included.
#pragma once

#include <string>

#include "convert/napi_sink.h"
#include "interp/gil.h"
#include "interp/ref.h"

struct napi_value__;

namespace coloop::bridge {

class EnvData;

class Exporter final : public convert::NapiExporter {
 public:
  Exporter(EnvData& data, const interp::Gil& gil) : data_(data), gil_(gil) {}

  // Null after a failure: then a Python exception, a JavaScript exception or failure() tells why.
  // It calls the value `root`, or `root[index]`.
  [[nodiscard]] napi_value__* Convert(_object* object, const char* root = "result", int index = -1);
  [[nodiscard]] napi_value__* ConvertByReference(_object* object);
  // After a failure: leaves a Python exception set, whatever it was.
  void RaiseFailure();
  // After a failure, or with a Python exception set: the JavaScript error, for napi_throw.
  [[nodiscard]] napi_value__* FailureAsError();
  // The Task of the awaitable that was exported last, if any: for cancellation.
  [[nodiscard]] interp::Owned TakeTask() { return std::move(task_); }

  napi_value__* Proxy(_object* object) override;
  napi_value__* Promise(_object* awaitable) override;
  napi_value__* Exception(_object* exception) override;
  napi_value__* HostObject(std::uint32_t id) override;
  napi_value__* NewMap() override;
  napi_value__* NewSet() override;
  [[nodiscard]] std::size_t max_buffer() const override;
  napi_value__* NewBuffer(std::size_t length, void** data) override;
  bool Fill(napi_value__* container, napi_value__* contents) override;
  napi_value__* NumberArray(napi_value__* float64_array) override;
  bool SetOwn(napi_value__* object, napi_value__* key, napi_value__* value) override;

 private:
  // The context for a Task that JavaScript starts now: it knows the caller's AsyncResource.
  [[nodiscard]] interp::Owned TaskContext();

  EnvData& data_;
  const interp::Gil& gil_;
  std::string failure_;
  interp::Owned task_;
};

// An error of ours, {code, message}, as a JavaScript object.
[[nodiscard]] napi_value__* OwnError(EnvData& data, const std::string& code,
                                     const std::string& message);

}  // namespace coloop::bridge
