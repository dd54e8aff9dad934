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
#include <functional>
#include <vector>

struct _ts;

namespace coloop::interp {

struct InterpreterHead;

// A thread that JavaScript runs on, and whose Python it is.
struct PythonThread {
  InterpreterHead* interpreter;
  unsigned long ident;  // Python's
};

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
  friend class InterpreterVisit;
};

// True while the calling thread's interpreter may be entered: initialised, and not past its exit
// sequence.
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

// For its life the calling thread, which holds no GIL, holds that of another's interpreter, with a
// thread state made for it.
class InterpreterVisit {
 public:
  explicit InterpreterVisit(InterpreterHead& interpreter);
  ~InterpreterVisit();
  InterpreterVisit(const InterpreterVisit&) = delete;
  InterpreterVisit& operator=(const InterpreterVisit&) = delete;

  // False once the interpreter is not usable any more.
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] const Gil& gil() const { return gil_; }

 private:
  InterpreterHead& visited_;
  InterpreterHead* const home_;
  GilSlot before_;
  Gil gil_;
  bool ok_ = false;
};

// The same, and `act` in it. Of a Worker's own interpreter in a thread made for that, unless one is
// on its way there: C code may hold that GIL for long, which is no business of the calling
// thread's.
void VisitApart(InterpreterHead& interpreter, std::function<void(const Gil& gil)> act);

// Nobody visits the calling thread's interpreter from here on, nor does GilAcquire enter it.
void EndVisits(const Gil& gil);

// What the calling thread has waited for the GIL while others had it, as far as Python's other
// threads existed at all.
struct GilWaits {
  std::uint64_t nanoseconds = 0;
  std::uint64_t longest = 0;
  std::uint64_t count = 0;
};
[[nodiscard]] const GilWaits& CurrentGilWaits();

// Gives the calling thread a thread state of `interpreter` and leaves the GIL released. Called once
// for each Worker; the main thread gets its own by Initialize.
void AttachThread(InterpreterHead& interpreter);
// Undoes AttachThread, with the GIL not held. Where the interpreter is not usable any more, the
// thread state stays.
void DetachThread();
// The threads that are attached, or are about to be. Any thread.
[[nodiscard]] std::vector<PythonThread> AttachedThreads();
// Calls `act` if the thread still is, and keeps it so meanwhile: the ident of a thread that has
// ended may be another one's.
void IfAttached(const PythonThread& thread, void (*act)(unsigned long ident));

// The calling thread takes the GIL of an interpreter for good. It does not count as attached.
void AttachForExit(InterpreterHead& interpreter);

}  // namespace coloop::interp
