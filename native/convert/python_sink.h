// Writes Python objects: the sink for values that come from JavaScript. Holds no Python.h, so that
// the bridge can own one. Made, used and destroyed with the GIL held.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "convert/sink.h"
#include "interp/gil.h"
#include "interp/js_ref.h"
#include "interp/ref.h"

namespace coloop::convert {

class PythonSink final : public Sink {
 public:
  PythonSink(const interp::Gil& gil, const std::shared_ptr<interp::HostLink>& link)
      : gil_(gil), link_(link) {}

  // The value written last, complete: a new reference. Null after a failure, with an exception set.
  [[nodiscard]] interp::Owned Take();

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
  enum class Kind : std::uint8_t { kList, kDict, kSet };
  struct Frame {
    interp::Owned container;
    Kind kind;
    std::size_t filled = 0;  // list items written
    interp::Owned key;       // a dict's key that waits for its value
  };

  bool Put(_object* stolen);
  bool Begin(_object* stolen, Kind kind);

  const interp::Gil& gil_;
  std::shared_ptr<interp::HostLink> link_;
  interp::Owned value_;
  std::vector<Frame> frames_;
  std::vector<interp::Owned> containers_;  // in the order in which they were begun, for Back
};

// Looks datetime up. Once, after the interpreter started; false with an exception set.
[[nodiscard]] bool InitPythonSink(const interp::Gil& gil);

}  // namespace coloop::convert
