// Coroutines of asyncio's streams in native code.
//
// As a coroutine of Python's, one does nothing before it is awaited, warns when nobody awaits it,
// and gives up what it waits for when it is closed.
#pragma once

#include "interp/gil.h"
#include "interp/ref.h"

struct _object;

namespace coloop::io {

struct CoroutineState {
  interp::Owned owner;    // the reader or the writer
  interp::Owned method;   // of a wait: whom it is for, in the text of an error
  interp::Owned waiting;  // what it waits for: an iterator
  long limit = 0;         // of a read: at most so many bytes
};

// What a coroutine does. Each has null, or false, with an exception set for an error.
struct CoroutineSteps {
  const char* name;
  const char* qualified_name;
  // The result; null without an exception if `waiting` has been set.
  interp::Owned (*begin)(const interp::Gil& gil, CoroutineState& state);
  // The result after the wait, which gave `value`, or failed with the exception that is set.
  interp::Owned (*end)(const interp::Gil& gil, CoroutineState& state, interp::Owned value);
  // It will not go on.
  bool (*give_up)(const interp::Gil& gil, CoroutineState& state);
};

// The iterator that `await` would drive. Null with an exception set.
[[nodiscard]] interp::Owned IteratorOf(_object* awaitable);

// For steps that leave the rest to a coroutine of asyncio's: what `begin` returns with that, `end`
// and `give_up`.
[[nodiscard]] interp::Owned BeginDelegated(CoroutineState& state, const interp::Owned& coroutine);
[[nodiscard]] interp::Owned EndDelegated(const interp::Gil& gil, CoroutineState& state,
                                         interp::Owned value);
[[nodiscard]] bool GiveUpDelegated(const interp::Gil& gil, CoroutineState& state);

// Whether coroutines are to know where they were made (asyncio's debug mode), as Python's do and
// ours do not.
[[nodiscard]] bool TracksOrigins();

// Makes the type. False with an exception set.
[[nodiscard]] bool InitStreamCoroutine(const interp::Gil& gil);

// `steps` stays. Null with an exception set.
[[nodiscard]] _object* NewCoroutine(const interp::Gil& gil, const CoroutineSteps& steps,
                                    CoroutineState state);

}  // namespace coloop::io
