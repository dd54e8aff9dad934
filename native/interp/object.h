// What the bridge does with Python objects, for callers that must not see Python.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::interp {

// What a proxy of an object can do; src/proxy.ts has the same bits.
enum Ability : std::uint32_t {
  kCallable = 1,
  kIterable = 2,
  kIterator = 4,
  kAsyncIterable = 8,
  kAsyncIterator = 16,
  kAwaitable = 32,
  kSized = 64,
  kClass = 128,
  kBuffer = 256,
};
[[nodiscard]] std::uint32_t Abilities(const Gil& gil, _object* object);

// An interned str from UTF-16 (lone surrogates kept). Null with an exception set.
[[nodiscard]] Owned InternName(const Gil& gil, const char16_t* text, std::size_t length);

// All return null with an exception set when they fail.
[[nodiscard]] Owned GetAttribute(const Gil& gil, _object* object, _object* name);
[[nodiscard]] Owned Import(const Gil& gil, const char* module);
[[nodiscard]] Owned GetAttributeString(const Gil& gil, _object* object, const char* name);
[[nodiscard]] Owned Vectorcall(const Gil& gil, _object* callable, _object* const* arguments,
                               std::size_t count, _object* keyword_names);
// After a call that failed: says it in better words if JavaScript, which has no frame of Python's,
// called what looks at its caller's.
void ExplainMissingFrame(const Gil& gil, _object* callable);
[[nodiscard]] Owned Tuple(const Gil& gil, _object* const* items, std::size_t count);
[[nodiscard]] Owned Bool(const Gil& gil, bool value);
[[nodiscard]] Owned Str(const Gil& gil, const char* utf8);

// True if calling it only makes a coroutine: an `async def`, also as a method.
[[nodiscard]] bool MakesCoroutine(const Gil& gil, _object* callable);

// True if `awaitable` can be awaited on `loop`: a coroutine, or a Future of that very loop.
[[nodiscard]] bool RunsOn(const Gil& gil, _object* awaitable, _object* loop);

// `close()` of a coroutine that nobody will await, so that Python does not warn of it. Keeps the
// exception that is set, if any.
void CloseCoroutine(const Gil& gil, _object* object);

// A pinned buffer: the memory stays where it is until Release.
struct BufferView {
  void* data = nullptr;
  std::size_t length = 0;     // bytes
  std::size_t item_size = 1;  // bytes
  std::string format;         // struct module's codes
  bool read_only = false;
  void* pinned = nullptr;  // the Py_buffer
};
// False with an exception set: no buffer, or not C-contiguous, which it need not be for a copy.
[[nodiscard]] bool PinBuffer(const Gil& gil, _object* object, bool for_copy, BufferView* view);
// After that failed: whether memory of other strides is why. Then no exception is set any more.
[[nodiscard]] bool TakeNotContiguous(const Gil& gil, _object* object);
// Copies all of it, in C's order. False with an exception set.
[[nodiscard]] bool CopyBuffer(const Gil& gil, const BufferView& view, void* memory);
void UnpinBuffer(const Gil& gil, void* pinned);

// The exception is raised from text; `type_name` is a built-in exception's name.
void Raise(const Gil& gil, const char* type_name, const std::string& message);

// contextvars: the value of `variable` in the current context, null if it has none (no exception).
[[nodiscard]] Owned ContextVariable(const Gil& gil, _object* variable);
// A copy of the current context in which `variable` is `value`. Null with an exception set.
[[nodiscard]] Owned ContextWith(const Gil& gil, _object* variable, _object* value);

}  // namespace coloop::interp
