// Python for programs without Node: started as the addon starts it.
#pragma once

namespace coloop::test {

// Starts the interpreter that COLOOP_TEST_PYTHON or COLOOP_PYTHON names, sandbox included. False
// after printing why.
[[nodiscard]] bool StartPython();

}  // namespace coloop::test
