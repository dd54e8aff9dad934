// Signals while Python blocks the JavaScript thread: a thread with a uv loop of its own is told of
// them as Node is, since libuv tells every loop that asks. Nobody's disposition is changed but by
// libuv, and whoever asks takes the signal's default away, as process.on() does.
//
// All functions are for the JavaScript main thread; they return when libuv has done it.
#pragma once

namespace coloop::bridge {

// When the signal comes, Python on the main thread is interrupted after `delay_ms` if it runs then;
// with `insist` again and again until the process ends.
void InterruptOnSignal(int number, int delay_ms, bool insist);
void StopInterruptOnSignal(int number);
// Milliseconds since it last came to one of these; 0 if it never did.
[[nodiscard]] double SinceSignal(int number);

// When the signal comes, Python's own handler for it runs (interp::DeliverSignal).
void RouteSignal(int number, bool on);

}  // namespace coloop::bridge
