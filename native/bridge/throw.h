// Errors that a function of the addon leaves in JavaScript.
#pragma once

struct napi_env__;
struct napi_value__;

namespace coloop::bridge {

class EnvData;

// Whether the pending exception is V8's of an exhausted stack; then it no longer is.
[[nodiscard]] bool TakeStackOverflow(napi_env__* env);

// Throws `error`, null if JavaScript is ending, as the last act of a function that JavaScript
// called; the GIL is not held. Past Python's exit sequence a Worker waits here until Node ends it,
// for a second in all at most: Node does so at any moment then, and Node.js 20 aborts the process
// if that moment is within its handling of a rejected promise (the JavaScript of V8's
// PromiseRejectCallback) and the error is the module's in the end.
void ThrowLast(EnvData& data, napi_value__* error);

}  // namespace coloop::bridge
