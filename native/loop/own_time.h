// A time() of the program's own, in a subclass of the loop or set on the loop, as tests do to make
// time pass. asyncio's timers go by it.
#pragma once

struct _object;

namespace coloop::interp {
class Gil;
}

namespace coloop::loop {

class Loop;

[[nodiscard]] bool InitOwnTime(const interp::Gil& gil, _object* loop_type);

// Tells a loop whether its object has a time() that is not ours: one that was set on it, or its
// class's.
void FindOwnTime(_object* object, Loop& loop, bool set);
// The type's slot tp_setattro, which sees when time() is set or deleted.
int SetLoopAttribute(_object* self, _object* name, _object* value);

}  // namespace coloop::loop
