// The main interpreter: start it, run its exit sequence.
#pragma once

#include <string>

#include "base/result.h"
#include "interp/gil.h"

namespace coloop::interp {

struct InterpreterConfig {
  std::string executable;                              // sys.executable of the interpreter to be
  std::string package_folder;                          // the folder that holds `_erlang_impl`
  bool deep_bind = false;                              // extensions are loaded with RTLD_DEEPBIND
  void (*before_user_code)(const Gil& gil) = nullptr;  // before site runs, with a GIL held
  std::string policy;  // of a Worker's own: only one with the same is used again
};

// Someone else has initialized Python in this process. Before Initialize.
[[nodiscard]] bool IsRunByOthers();

// Starts Python on the calling thread (Node's main thread), without signal handlers, runs site and
// loads the package `_erlang_impl` as `erlang` and `coloop`. Leaves the GIL released. Once for each
// process. Audit hooks and built-in modules are in place before it is called.
[[nodiscard]] base::Result<void> Initialize(const InterpreterConfig& config);

// "3.11.7 (main, …)": the version of the library that runs, for a check against the one asked for.
[[nodiscard]] std::string RuntimeVersion();

// Calls `begin`, waits for Python's non-daemon threads, runs atexit, flushes stdout and stderr;
// from then on the interpreter is not usable. Main thread only, once; later calls do nothing. A
// wait of more than `grace_ms` milliseconds is interrupted; if the GIL is not to be had for so
// long, the process ends with `code`. The GIL stays taken, so that no Python thread runs while the
// process goes, unless JavaScript threads are attached: Node waits for its Workers, and one of them
// may wait for the GIL. True then: EndDespite is to follow.
[[nodiscard]] bool RunExitSequence(int grace_ms, int code, void (*begin)(const Gil& gil));
// It is over: the process ends. Any thread.
[[nodiscard]] bool IsPastExit();

// For own_interpreter.cc, in any interpreter.

// Of a PyStatus: what failed and why, or null.
[[nodiscard]] base::Error StartError(const char* function, const char* message);
// What Initialize does once the core is up: the flags, site, the package.
[[nodiscard]] base::Result<void> FinishStart(const Gil& gil, const InterpreterConfig& config);
// atexit, what failed and nobody was told of, and what stdout and stderr hold.
void RunExitHandlers(const Gil& gil);
// The exception that is set; a KeyboardInterrupt is the watchdog's and no news.
void ReportUnlessInterrupted(const Gil& gil);

}  // namespace coloop::interp
