// Signals while Python blocks the JavaScript thread: a thread with a uv loop of its own is told of
// them as Node is, since libuv tells every loop that asks. Nobody's disposition is changed but by
// libuv, and whoever asks takes the signal's default away, as process.on() does.
//
// All functions are for the JavaScript main thread; they return when libuv has done it.
#pragma once

namespace coloop::bridge {

// When the signal comes, Python on the main thread is interrupted if it runs then.
[[nodiscard]] int InterruptOnSignal(int number);
// When the signal comes, JavaScript ends the process. Where it does not get its turn: after
// `grace_ms` Python on the main thread is interrupted, again and again, and kGiveUpAfter later the
// process ends with the shell's status. A second one of such signals insists at once, and ends it
// kInsistAfter later. Of several requests for a signal the one with the shortest grace counts.
[[nodiscard]] int EndOnSignal(int number, int grace_ms);
// No longer; takes what one of these has returned.
void ForgetRequest(int request);
// JavaScript's `exit` event: a signal ends nothing any more.
void ExitBegins();
// Milliseconds since it last came to one of these; 0 if it never did.
[[nodiscard]] double SinceSignal(int number);

// When the signal comes, Python's own handler for it runs (interp::DeliverSignal).
void RouteSignal(int number, bool on);

}  // namespace coloop::bridge
