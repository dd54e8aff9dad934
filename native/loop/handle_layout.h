// How handles look inside: for handle.cc, which makes and runs them, and handle_type.cc, their
// types.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "interp/per_interpreter.h"

struct _object;
struct _typeobject;

namespace coloop::loop {

constexpr std::size_t kInlineArgs = 3;
constexpr std::size_t kSpareHandles = 2048;

// A ring of handles.
struct HandleLink {
  HandleLink* next;
  HandleLink* previous;
};

// What follows the slots of the base class.
struct HandleExtra {
  HandleLink fresh;                        // in HandleKind::fresh, or null
  std::array<_object*, kInlineArgs> args;  // unless the slot `_args` is set
  double when;                             // of a timer
  std::uint8_t count;                      // of `args`
  bool shares_context;                     // the one in the slot `_context` is not to be entered
  bool scheduled;                          // of a timer: the heap has it
};

// One of our two types.
struct HandleKind {
  _typeobject* type = nullptr;
  _typeobject* base = nullptr;
  // Freed objects, to be used again.
  std::array<_object*, kSpareHandles> spares{};
  std::size_t spare_count = 0;
  // Those made by callbacks that run now. Most are gone when these are done; the garbage collector
  // gets the others to know then.
  HandleLink fresh{&fresh, &fresh};
};

// Offsets of the slots of asyncio.Handle, and of HandleExtra, behind those of a TimerHandle in
// either type.
struct HandleLayout {
  std::ptrdiff_t extra = 0;
  std::ptrdiff_t callback = 0;
  std::ptrdiff_t args = 0;
  std::ptrdiff_t cancelled = 0;
  std::ptrdiff_t loop = 0;
  std::ptrdiff_t source_traceback = 0;
  std::ptrdiff_t repr = 0;
  std::ptrdiff_t context = 0;

  bool operator==(const HandleLayout&) const = default;
};

// Of an interpreter.
struct Handles {
  HandleKind plain;
  HandleKind timer;
  _object* extract_stack = nullptr;  // asyncio.format_helpers.extract_stack
};
extern interp::PerInterpreter<Handles> handles;
// The same in every interpreter: written when the first one opens a loop, before there is another.
extern HandleLayout handle_layout;

[[nodiscard]] inline _object*& Slot(_object* object, std::ptrdiff_t offset) {
  return *reinterpret_cast<_object**>(reinterpret_cast<char*>(object) + offset);
}

// What tells our two types from all others, in every interpreter.
void DeallocHandle(_object* handle);
// Of one of our two types.
[[nodiscard]] bool IsOurs(_object* object);
[[nodiscard]] HandleKind& KindOf(_object* handle);
[[nodiscard]] inline HandleExtra& ExtraOf(_object* handle) {
  return *reinterpret_cast<HandleExtra*>(reinterpret_cast<char*>(handle) + handle_layout.extra);
}

// Takes it out of HandleKind::fresh. False if it was not in there.
[[nodiscard]] bool UnlinkFresh(HandleExtra& extra);

}  // namespace coloop::loop
