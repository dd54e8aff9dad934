// The attributes of a StreamReader, a StreamWriter or their protocol.
#pragma once

#include "interp/gil.h"
#include "interp/ref.h"

struct _object;

namespace coloop::io {

// They are in the object's __dict__, as no class of asyncio's streams has a descriptor by one of
// their names: one look-up, not those in all the classes before it.
class Fields {
 public:
  Fields(const interp::Gil& gil, _object* object);

  // Null with an exception set.
  [[nodiscard]] interp::Owned Get(_object* name) const;
  // -1 with an exception set.
  [[nodiscard]] int IsTrue(_object* name) const;
  // False with an exception set.
  [[nodiscard]] bool Set(_object* name, _object* value) const;
  // Whether the object itself has it, and not its class alone. -1 with an exception set.
  [[nodiscard]] int Has(_object* name) const;

 private:
  _object* object_;
  interp::Owned dict_;
};

// Whether a protocol's _drain_helper() has something to wait for or to raise. -1 with an exception
// set.
[[nodiscard]] int MayHaveToWait(const Fields& protocol);

}  // namespace coloop::io
