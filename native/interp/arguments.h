// Arguments of native methods that may be given by name.
#pragma once

#include <array>
#include <cstddef>

struct _object;

namespace coloop::interp {

struct Signature {
  const char* method;
  std::size_t required;              // so many, first, by position or by name
  std::array<const char*, 3> names;  // theirs, and of those that are given by name only
};
using Bound = std::array<_object*, 3>;  // in that order; null: not given

// Reads the arguments of a vectorcall; of those by position only the required ones. False with an
// exception set.
[[nodiscard]] bool Bind(const Signature& signature, _object* const* args, std::ptrdiff_t count,
                        _object* names, Bound* bound);
// The only argument of a method; null with an exception set.
[[nodiscard]] _object* BindOne(const Signature& signature, _object* const* args,
                               std::ptrdiff_t count, _object* names);

// As METH_FASTCALL | METH_KEYWORDS, a method of METH_O whose argument may be named.
template <_object* (*Method)(_object*, _object*), const Signature& kSignature>
_object* Named(_object* self, _object* const* args, std::ptrdiff_t count, _object* names) {
  if (count == 1 && names == nullptr) return Method(self, args[0]);
  _object* argument = BindOne(kSignature, args, count, names);
  return argument != nullptr ? Method(self, argument) : nullptr;
}

}  // namespace coloop::interp
