// Writes JavaScript values: the sink for values that come from Python. What crosses by reference
// goes to a NapiExporter, which the bridge implements. JavaScript thread only.
#pragma once

#include <vector>

#include "convert/sink.h"

struct napi_env__;
struct napi_value__;

namespace coloop::convert {

// Makes the JavaScript value of a Python object that is not copied, and knows the environment's
// helpers. Each returns null after a failure with a JavaScript or Python exception pending.
class NapiExporter {
 public:
  virtual ~NapiExporter() = default;
  virtual napi_value__* Proxy(_object* object) = 0;
  virtual napi_value__* Promise(_object* awaitable) = 0;
  virtual napi_value__* Exception(_object* exception) = 0;
  virtual napi_value__* HostObject(std::uint32_t id) = 0;
  virtual napi_value__* NewMap() = 0;
  virtual napi_value__* NewSet() = 0;
  // What a buffer can have at most, in bytes. Beyond it Node-API ends the process.
  [[nodiscard]] virtual std::size_t max_buffer() const = 0;
  // Null, and nothing pending, where there is no memory for it. Not longer than `max_buffer`.
  virtual napi_value__* NewBuffer(std::size_t length, void** data) = 0;
  // Fills a map from an array of keys and values in turn, or a set from an array of its values.
  virtual bool Fill(napi_value__* container, napi_value__* contents) = 0;
  // The plain array with the numbers of a Float64Array.
  virtual napi_value__* NumberArray(napi_value__* float64_array) = 0;
  // Sets an own property whatever its name (`__proto__` is data).
  virtual bool SetOwn(napi_value__* object, napi_value__* key, napi_value__* value) = 0;
};

// Why there is no buffer of this length.
[[nodiscard]] std::string BufferTooLong(std::size_t length, std::size_t limit);

class NapiSink final : public Sink {
 public:
  NapiSink(napi_env__* env, NapiExporter& exporter) : env_(env), exporter_(exporter) {}

  // The value written last; null after a failure.
  [[nodiscard]] napi_value__* value() const { return value_; }
  // Why it failed, where no exception is pending.
  [[nodiscard]] const std::string& error() const { return error_; }

  bool Null() override;
  bool Bool(bool value) override;
  bool Int(std::int64_t value) override;
  bool BigInt(bool negative, const std::uint64_t* words, std::size_t count) override;
  bool Double(double value) override;
  bool Latin1(const char* text, std::size_t length) override;
  bool Utf16(const char16_t* text, std::size_t length) override;
  bool Date(double milliseconds) override;
  bool Bytes(const void* data, std::size_t length) override;
  bool Numbers(const double* values, std::size_t count) override;
  bool BeginList(std::size_t count) override;
  bool BeginObject(std::size_t count) override;
  bool BeginMap(std::size_t count) override;
  bool BeginSet(std::size_t count) override;
  bool End() override;
  bool Back(std::size_t index) override;
  bool Buffer(std::uint32_t id, void* data, std::size_t length, const std::string& format,
              std::size_t item_size) override;
  bool Host(std::uint32_t id, HostKind kind) override;
  bool PythonProxy(_object* object) override;
  bool PythonAwaitable(_object* object) override;
  bool PythonException(_object* object) override;

 private:
  enum class Kind : std::uint8_t { kList, kObject, kMap, kSet };
  struct Frame {
    napi_value__* container;  // the array or object that is filled
    napi_value__* key = nullptr;
    std::uint32_t filled = 0;
    Kind kind;
    napi_value__* result;  // what Back and the parent get: for maps and sets not the array
    bool key_is_proto = false;
  };

  bool Put(napi_value__* value);
  bool PutProperty(Frame& frame, napi_value__* value);
  bool PutString(napi_value__* value, bool is_proto);
  bool Begin(napi_value__* container, napi_value__* result, Kind kind);
  bool Created(int status, const char* what);
  [[nodiscard]] napi_value__* NewArray(std::size_t length, const char* what);
  [[nodiscard]] napi_value__* NewBuffer(std::size_t length, void** data, const char* what);

  napi_env__* env_;
  NapiExporter& exporter_;
  napi_value__* value_ = nullptr;
  std::vector<Frame> frames_;
  std::vector<napi_value__*> containers_;
  std::string error_;
};

}  // namespace coloop::convert
