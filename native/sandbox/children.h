// Children of the process that Node.js runs for Python: they belong to Node's libuv, which alone
// may wait for them. So `os.waitpid` and its like ask Python's half first
// (`_erlang_impl/_children.py`).
#pragma once

#include "interp/gil.h"
#include "interp/ref.h"

struct _object;

namespace coloop::sandbox {

// Puts guards before posix.wait, waitpid, waitid, wait3 and wait4. Before Python starts; false when
// out of memory.
[[nodiscard]] bool GuardWaits();

// What stands for _posixsubprocess.fork_exec in this interpreter. Null without one, and then
// without an exception.
[[nodiscard]] interp::Owned ForkExecHandler();

// libuv has waited for this child: its status is that of waitpid(2). Any thread.
void ChildExited(const interp::Gil& gil, int pid, int status);

// From now on nobody but Python waits for the children.
void OrphanChildren(const interp::Gil& gil);

// The functions of `_coloop` that `_children.py` uses. An interp::ModulePart.
[[nodiscard]] bool AddChildrenToModule(const interp::Gil& gil, _object* module);

}  // namespace coloop::sandbox
