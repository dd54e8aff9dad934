// asyncio's StreamReader, StreamReaderProtocol and StreamWriter, and ours over each.
//
// Our subclasses add no state: an object becomes one by its __class__, and its attributes stay
// asyncio's. Where a class of asyncio's is patched, nothing is replaced; methods that are patched
// later are called all the same.
#pragma once

#include <array>
#include <cstddef>

#include "interp/gil.h"
#include "interp/ref.h"

struct _object;
struct PyMethodDef;

namespace coloop::io {

class StreamClass {
 public:
  // `methods` stay; each has the name of a method of asyncio's. False with an exception set.
  [[nodiscard]] bool Make(const interp::Gil& gil, _object* module, const char* name,
                          PyMethodDef* methods, std::size_t count);

  // Whether asyncio's class has the methods that ours stand for, as asyncio has written them.
  [[nodiscard]] bool IsWhole();
  [[nodiscard]] bool IsPlain(_object* object) const { return Is(object, plain_); }
  // Whether it is ours, and what that replaces is not patched.
  [[nodiscard]] bool Serves(_object* object) { return Is(object, native_) && IsWhole(); }
  // An object of asyncio's class becomes one of ours. False with an exception set.
  [[nodiscard]] bool Adopt(_object* object) const;
  // What asyncio's class has now in the place of a method, with the same arguments: for a result or
  // an error that is not ours to make.
  [[nodiscard]] _object* CallPlain(std::size_t method, _object* self, _object* const* args,
                                   std::ptrdiff_t count, _object* keywords) const;

 private:
  struct Replaced {
    _object* name = nullptr;
    _object* function = nullptr;
  };
  static constexpr std::size_t kMost = 8;

  [[nodiscard]] static bool Is(_object* object, const _object* type);
  [[nodiscard]] bool Check() const;

  _object* plain_ = nullptr;
  _object* native_ = nullptr;
  _object* globals_ = nullptr;  // of asyncio.streams
  std::array<Replaced, kMost> replaced_;
  std::size_t count_ = 0;
  unsigned checked_ = 0;  // the class's version when it was looked at last; 0: never
};

struct StreamClasses {
  StreamClass reader;
  StreamClass protocol;
  StreamClass writer;
};

// Of this interpreter.
[[nodiscard]] StreamClasses& Classes();

}  // namespace coloop::io
