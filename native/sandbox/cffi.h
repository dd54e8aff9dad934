// cffi finds C functions without any audit event: by dlsym, which is asked for in its module.
#pragma once

struct _object;

namespace coloop::sandbox {

// Binds cffi's `dlsym` and `dlerror` to ours, which refuse what ctypes may not look up either: cffi
// then raises what it raises for a symbol that is missing, with the text of the refusal. `file` is
// the extension (a str) that Python is about to load; the GIL is held. Does nothing where the
// linker's slots cannot be changed.
void GuardCffi(_object* file);

}  // namespace coloop::sandbox
