// Owned and Borrowed Python references. Free of Python.h, so that any layer can hold one; whoever
// destroys an Owned holds the GIL.
#pragma once

#include <utility>

struct _object;

namespace coloop::interp {

void IncRef(_object* object);
void DecRef(_object* object);
// Somebody else has a reference, too: dropping one runs nothing.
[[nodiscard]] bool IsShared(_object* object);

class Owned;

// Valid while somebody else keeps the object alive; never stored.
class Borrowed {
 public:
  explicit Borrowed(_object* object) : object_(object) {}
  [[nodiscard]] _object* get() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  _object* object_;
};

// Steals the reference it is made from and drops it at its end.
class Owned {
 public:
  Owned() = default;
  explicit Owned(_object* stolen) : object_(stolen) {}
  [[nodiscard]] static Owned NewRef(_object* object) {
    if (object != nullptr) IncRef(object);
    return Owned(object);
  }
  Owned(Owned&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    if (this != &other) {
      _object* old = std::exchange(object_, std::exchange(other.object_, nullptr));
      if (old != nullptr) DecRef(old);
    }
    return *this;
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() {
    if (object_ != nullptr) DecRef(object_);
  }

  [[nodiscard]] _object* get() const { return object_; }
  [[nodiscard]] _object* release() { return std::exchange(object_, nullptr); }
  void reset() { *this = Owned(); }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  _object* object_ = nullptr;
};

}  // namespace coloop::interp
