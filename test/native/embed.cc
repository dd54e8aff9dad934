// Starting Python with `_coloop` and the sandbox.
#include "embed.h"

#include <cstdio>
#include <cstdlib>

#include "base/result.h"
#include "interp/interpreter.h"
#include "interp/js_ref.h"
#include "interp/module.h"
#include "io/module_part.h"
#include "loop/loop.h"
#include "sandbox/audit_hook.h"
#include "sandbox/policy.h"

namespace coloop::test {

bool StartPython() {
  const char* executable = std::getenv("COLOOP_TEST_PYTHON");  // NOLINT(concurrency-mt-unsafe)
  // NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread yet
  if (executable == nullptr) executable = std::getenv("COLOOP_PYTHON");
  if (executable == nullptr) {
    std::fprintf(stderr, "set COLOOP_PYTHON to the interpreter to embed\n");
    return false;
  }
  const base::Result<void> installed = sandbox::Install(sandbox::Options{});
  interp::AddModulePart(interp::AddJsRefToModule);
  interp::AddModulePart(interp::AddJsBufferToModule);
  interp::AddModulePart(loop::AddToModule);
  interp::AddModulePart(io::AddToModule);
  interp::AddModulePart(sandbox::AddToModule);
  interp::RegisterModule();
  interp::InterpreterConfig config;
  config.executable = executable;
  config.package_folder = COLOOP_PACKAGE_FOLDER;
  config.before_user_code = sandbox::Arm;
  const base::Result<void> started = interp::Initialize(config);
  for (const base::Result<void>* result : {&installed, &started}) {
    if (result->ok()) continue;
    std::fprintf(stderr, "%s: %s\n", result->error().code.c_str(), result->error().message.c_str());
    return false;
  }
  return true;
}

}  // namespace coloop::test
