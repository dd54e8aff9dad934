// What native code keeps for each interpreter: its types, cached classes, interned names.
//
// Objects of one interpreter must never be used in another, whose GIL is another one. So a layer
// puts what it would keep in static variables into a struct, and declares one `PerInterpreter` of
// it; `->` leads to the struct of the interpreter that the calling thread runs, with the GIL held.
// The structs of an interpreter are one block of memory, which a thread finds once: a thread
// belongs to one interpreter for all its life.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <new>
#include <string>

#include "base/thread_model.h"

struct _is;
struct _ts;

namespace coloop::interp {

// Where the block of each interpreter begins.
struct InterpreterHead {
  _is* interpreter = nullptr;
  // Of a Worker's own: the thread state that came with it. It is nobody's and stays, since CPython
  // breaks when it uses that one's memory again (gh-126914).
  _ts* first_state = nullptr;
  std::string policy;  // the same
  // It may be entered: initialised, and not past its exit sequence.
  std::atomic<bool> usable{false};
  // Threads of others that look in (InterpreterVisit): who makes it unusable waits for them.
  std::mutex visits;
  std::condition_variable visits_ended;
  int visitors = 0;                      // guarded by `visits`
  std::atomic<bool> visit_begun{false};  // VisitApart
};

COLOOP_THREAD_MODEL extern constinit thread_local InterpreterHead* current_interpreter;

// Of a thread that Python made, with the GIL held.
[[gnu::cold, gnu::noinline]] InterpreterHead& FindCurrentInterpreter();

// That of the calling thread.
[[nodiscard]] inline InterpreterHead& CurrentInterpreter() {
  InterpreterHead* known = current_interpreter;
  return known != nullptr ? *known : FindCurrentInterpreter();
}

// That of the calling thread; null where it has none: on a thread without a thread state, and in an
// interpreter that somebody else has made.
[[nodiscard]] InterpreterHead* KnownInterpreter();

// The block of an interpreter that is new, empty; the calling thread belongs to it from then on.
InterpreterHead& AddInterpreter(_is* interpreter);
// That of the main thread, which Workers share by default.
[[nodiscard]] InterpreterHead& MainInterpreter();
// Whether the interpreter that the calling thread holds the GIL of has a block: whoever makes one
// by Python's own means cannot use us there.
[[nodiscard]] bool IsKnownInterpreter();

namespace internal {
// Before the first interpreter is added. The place within each block.
[[nodiscard]] std::size_t ReservePart(std::size_t size, void (*construct)(void*));
}  // namespace internal

template <typename T>
class PerInterpreter {
 public:
  PerInterpreter() : offset_(internal::ReservePart(sizeof(T), [](void* at) { new (at) T; })) {
    static_assert(alignof(T) <= alignof(std::max_align_t));
  }
  PerInterpreter(const PerInterpreter&) = delete;
  PerInterpreter& operator=(const PerInterpreter&) = delete;
  ~PerInterpreter() = default;

  [[nodiscard]] T* In(InterpreterHead& interpreter) const {
    return reinterpret_cast<T*>(reinterpret_cast<char*>(&interpreter) + offset_);
  }
  [[nodiscard]] T* operator->() const { return In(CurrentInterpreter()); }
  // Null where there may be no interpreter of ours, and is none.
  [[nodiscard]] T* Known() const {
    InterpreterHead* interpreter = KnownInterpreter();
    return interpreter != nullptr ? In(*interpreter) : nullptr;
  }
  [[nodiscard]] T& operator*() const { return *operator->(); }

 private:
  const std::size_t offset_;
};

}  // namespace coloop::interp
