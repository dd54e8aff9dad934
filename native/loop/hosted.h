// The loop of a JavaScript thread: one for each, as long as Python is started there.
#pragma once

struct _object;
struct PyMethodDef;

namespace coloop::loop {

class Loop;

// Opens the loop on the host that NewHosted() has for it, else on none. False with errno.
[[nodiscard]] bool OpenOnHost(Loop& loop, _object* object);

extern PyMethodDef hosted_functions[];

}  // namespace coloop::loop
