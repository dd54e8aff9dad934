// The part of `_coloop` that this layer makes: interp::ModulePart.
#pragma once

#include "interp/gil.h"

struct _object;

namespace coloop::io {

[[nodiscard]] bool AddToModule(const interp::Gil& gil, _object* module);

}  // namespace coloop::io
