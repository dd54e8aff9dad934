// Functions of built-in modules that raise no audit event and are refused nevertheless: those of
// `_signal` and `faulthandler` that change how the process meets signals.
#pragma once

namespace coloop::sandbox {

// Wraps the modules. Before Python starts; false when this Python does not have them built in, as
// every CPython has.
[[nodiscard]] bool GuardModules();

// Refusals begin. Until then our own start may set handlers.
void ArmGuards();

[[nodiscard]] bool GuardsArmed();

}  // namespace coloop::sandbox
