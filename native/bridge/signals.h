// Signals and Python on the main thread: what src/ asks of signal_thread.h.
#pragma once

struct napi_env__;
struct napi_value__;

namespace coloop::bridge {

class NodeHost;

// Adds `interruptOnSignal`, `endOnSignal`, `forgetSignal`, `exitBegins`, `sinceSignal`,
// `routeSignals`, `interruptOnSigint` to the exports.
[[nodiscard]] bool AddSignals(napi_env__* env, napi_value__* exports);

// Whose thread runs Python's signal handlers; null from its end on.
void SetMainHost(NodeHost* host);

}  // namespace coloop::bridge
