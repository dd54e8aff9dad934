// Errors that a function of the addon leaves in JavaScript.
#pragma once

struct napi_value__;

namespace coloop::bridge {

class EnvData;

// Throws `error`, null if JavaScript is ending, as the last act of a function that JavaScript
// called; the GIL is not held. Past Python's exit sequence a Worker waits here until Node ends it,
// two seconds at most: Node does so at any moment then, and aborts the process if that moment is
// within its handling of a rejected promise (the JavaScript of V8's PromiseRejectCallback) which
// the error of a module is the end of.
void ThrowLast(EnvData& data, napi_value__* error);

}  // namespace coloop::bridge
