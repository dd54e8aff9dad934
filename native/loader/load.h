// Loading libpython into Node so that its extensions keep their own OpenSSL and zlib.
//
// Node exports the symbols of the libraries that are linked into it. Loaded plainly, Python's
// extensions bind to those. In isolated mode the libraries that libpython needs are loaded first
// with RTLD_DEEPBIND, and extensions are loaded so later; libpython itself is not, since it shares
// `environ` and the standard streams with the process.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace coloop::loader {

struct Loaded {
  bool isolated = false;
  std::string reason;                  // why it is isolated or plain
  std::vector<std::string> preloaded;  // what was bound apart before libpython, in order
};

// Process-wide, once; the same library again gives the same answer, another one is
// ERR_COLOOP_OTHER_INTERPRETER, one that cannot be loaded ERR_COLOOP_DLOPEN. Any thread.
[[nodiscard]] base::Result<Loaded> Load(const std::string& library, bool plain);

// What the process's threads tell each other of the interpreter that was started: a text of
// JavaScript's, empty before. The first one stays. Any thread.
void NoteStarted(const std::string& interpreter);
[[nodiscard]] std::string Started();

}  // namespace coloop::loader
