// What runs in a context of contextvars.
#pragma once

#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::io {

// Holds the context while somebody else may let it go.
class ContextScope {
 public:
  explicit ContextScope(const interp::Owned& context)
      : context_(interp::Owned::NewRef(context.get())) {}

  // False with an exception set; then nothing is to be left.
  [[nodiscard]] bool Enter() const;
  // `done` of what ran in it, with the exception set if that is false.
  [[nodiscard]] bool Exit(const interp::Gil& gil, bool done) const;

 private:
  const interp::Owned context_;
};

}  // namespace coloop::io
