// Who holds the GIL, proven by the signature: a function that needs it takes `const Gil&`.
//
// Each thread has one GilSlot. On a thread that JavaScript runs on, the slot's thread state is made
// once (AttachThread) and the GIL is taken by GilAcquire where control arrives from outside (a uv
// callback, a Node-API entry). On a thread that Python made, control is in Python already; there
// only GilRelease, and a GilAcquire inside of it, are used.
//
// Never held across JavaScript or a poll: JavaScript may wait (Atomics.wait) for a thread that
// wants the GIL.
#pragma once

#include <cstdint>
#include <vector>

struct _ts;
struct _is;

namespace coloop::interp {

struct GilSlot {
  _ts* state = nullptr;  // what to restore; null on a thread that never released or attached
  bool held = false;
};

[[nodiscard]] GilSlot& CurrentGilSlot();

// Proof that the GIL is held. Slots that Python calls make one with Gil::FromPython().
class Gil {
 public:
  [[nodiscard]] static Gil FromPython();

 private:
  Gil() = default;
  friend class GilAcquire;
  friend class GilRelease;
};

// True while the interpreter may be entered: initialised, and not past the exit sequence.
[[nodiscard]] bool InterpreterUsable();
void SetInterpreterUsable(bool usable);

// Takes the GIL unless this thread holds it. Only where control arrives from outside.
class GilAcquire {
 public:
  GilAcquire();
  ~GilAcquire();
  GilAcquire(const GilAcquire&) = delete;
  GilAcquire& operator=(const GilAcquire&) = delete;

  // False at and after exit, and on a thread without a thread state: Python must not be touched.
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] const Gil& gil() const { return gil_; }

 private:
  Gil gil_;
  bool owned_ = false;
  bool ok_ = false;
};

// Gives the GIL up for its life, around JavaScript and around a poll.
class GilRelease {
 public:
  explicit GilRelease(const Gil& gil);
  ~GilRelease();
  GilRelease(const GilRelease&) = delete;
  GilRelease& operator=(const GilRelease&) = delete;

 private:
  GilSlot before_;
};

// What the calling thread has waited for the GIL while others had it, as far as Python's other
// threads existed at all.
struct GilWaits {
  std::uint64_t nanoseconds = 0;
  std::uint64_t longest = 0;
  std::uint64_t count = 0;
};
[[nodiscard]] const GilWaits& CurrentGilWaits();

// Gives the calling thread a thread state of `interpreter` (null: the main interpreter) and leaves
// the GIL released. Called once for each Worker; the main thread gets its own by Initialize.
void AttachThread(_is* interpreter);
// Undoes AttachThread, with the GIL not held. Where the interpreter is not usable any more, the
// thread state stays.
void DetachThread();
// Python's idents of the threads that are attached, or are about to be. Any thread.
[[nodiscard]] std::vector<unsigned long> AttachedThreads();

}  // namespace coloop::interp
