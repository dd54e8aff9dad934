// Functions in a table of Python methods.
#pragma once

struct _object;

namespace coloop::interp {

// A function of another calling convention than METH_NOARGS and METH_O, as the table wants it.
template <typename Function>
[[nodiscard]] auto AsMethod(Function function) {
  using Entry = _object* (*)(_object*, _object*);
  return reinterpret_cast<Entry>(reinterpret_cast<void (*)()>(function));
}

}  // namespace coloop::interp
