// asyncio's StreamReader, StreamReaderProtocol and StreamWriter, and ours over each.
//
// Our subclasses add no state: an object becomes one by its __class__, and its attributes stay
// asyncio's. Where a class of asyncio's is patched, nothing is replaced. When one is patched later,
// ours lose their methods until it is whole again, so that all is found as if they did not exist;
// a method of ours that somebody kept is asyncio's original then.
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

  // Whether both classes have the methods that they had when ours was made.
  [[nodiscard]] bool IsWhole();
  // Makes our class whole again, if asyncio's is. False with an exception set.
  [[nodiscard]] bool Restore();
  [[nodiscard]] bool IsPlain(_object* object) const { return Is(object, plain_); }
  // Whether it is ours, and nothing is patched.
  [[nodiscard]] bool Serves(_object* object) { return Is(object, native_) && IsWhole(); }
  // An object of asyncio's class becomes one of ours. False with an exception set.
  [[nodiscard]] bool Adopt(_object* object) const;
  // asyncio's original method: for a result or an error that is not ours to make.
  [[nodiscard]] _object* CallPlain(std::size_t method, _object* self, _object* const* args,
                                   std::ptrdiff_t count, _object* keywords) const;
  // For a method of ours that was called while not all is whole: what is there in its place.
  [[nodiscard]] _object* CallPatched(std::size_t method, _object* self, _object* const* args,
                                     std::ptrdiff_t count, _object* keywords);

 private:
  struct Replaced {
    _object* name = nullptr;
    _object* function = nullptr;  // asyncio's
    _object* method = nullptr;    // ours
  };
  static constexpr std::size_t kMost = 8;

  [[nodiscard]] static bool Is(_object* object, const _object* type);
  [[nodiscard]] bool IsPlainWhole() const;
  [[nodiscard]] bool Check() const;
  [[nodiscard]] bool Remove();

  _object* plain_ = nullptr;
  _object* native_ = nullptr;
  _object* globals_ = nullptr;  // of asyncio.streams
  std::array<Replaced, kMost> replaced_;
  std::size_t count_ = 0;
  bool removed_ = false;  // ours has lost its methods
  unsigned checked_ = 0;  // the version of ours when both were whole; 0: unknown
};

struct StreamClasses {
  StreamClass reader;
  StreamClass protocol;
  StreamClass writer;
};

// Of this interpreter.
[[nodiscard]] StreamClasses& Classes();

}  // namespace coloop::io
