// The one interface between the two languages' values: a source reads one side and drives a Sink
// that writes the other. Neither knows the other's API.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

struct _object;

namespace coloop::convert {

// What a JavaScript value that is passed by reference can do in Python.
enum class HostKind : std::uint8_t {
  kObject,
  kFunction,
  kPromise,
  kIterator,
  kAsyncIterable,
  kError
};

enum class NodeKind : std::uint8_t {
#define NODE(Name) k##Name,
#include "convert/kinds.def"
};

// Nesting beyond this is an error in both directions, never a stack overflow.
inline constexpr int kMaxDepth = 1000;

// The largest n with n and n + 1 exact in a double: Number.MAX_SAFE_INTEGER.
inline constexpr std::int64_t kMaxSafeInteger = 9007199254740991;

// Calls come in document order; between a Begin and its End come the values of the container, for
// objects and maps key, value, key, value. A method returns false when the value could not be
// written; then the source stops and the sink knows why.
class Sink {
 public:
  Sink() = default;
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
  virtual ~Sink() = default;

  virtual bool Null() = 0;
  virtual bool Bool(bool value) = 0;
  virtual bool Int(std::int64_t value) = 0;  // in the safe range
  virtual bool BigInt(bool negative, const std::uint64_t* words, std::size_t count) = 0;
  virtual bool Double(double value) = 0;
  virtual bool Latin1(const char* text, std::size_t length) = 0;
  virtual bool Utf16(const char16_t* text, std::size_t length) = 0;
  virtual bool Date(double milliseconds) = 0;
  virtual bool Bytes(const void* data, std::size_t length) = 0;

  // A list of numbers in one call; integral values in the safe range other than -0 are ints.
  virtual bool Numbers(const double* values, std::size_t count) = 0;

  virtual bool BeginList(std::size_t count) = 0;
  virtual bool BeginObject(std::size_t count) = 0;
  virtual bool BeginMap(std::size_t count) = 0;
  virtual bool BeginSet(std::size_t count) = 0;
  virtual bool End() = 0;
  // The container that was begun as the `index`-th of this conversion.
  virtual bool Back(std::size_t index) = 0;

  // JavaScript's memory, kept alive by host object `id`.
  virtual bool Buffer(std::uint32_t id, void* data, std::size_t length, const std::string& format,
                      std::size_t item_size) = 0;
  virtual bool Host(std::uint32_t id, HostKind kind) = 0;

  // Python objects that are not copied.
  virtual bool PythonProxy(_object* object) = 0;
  virtual bool PythonAwaitable(_object* object) = 0;
  virtual bool PythonException(_object* object) = 0;
};

}  // namespace coloop::convert
