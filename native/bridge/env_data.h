// Everything of one JavaScript environment (the main thread or a Worker). The interpreter is the
// only thing that is shared between environments.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "bridge/deferred.h"
#include "bridge/helpers.h"
#include "bridge/proxy_table.h"
#include "interp/gil.h"
#include "interp/js_ref.h"
#include "interp/ref.h"

struct napi_env__;
struct napi_value__;
struct napi_ref__;
struct napi_async_cleanup_hook_handle__;

namespace coloop::interp {
struct Lane;
}

namespace coloop::loop {
class Loop;
}

namespace coloop::bridge {

class DescendantsEnd;
class JsHost;
class NodeHost;

// Python functions of `_erlang_impl._bridge` that native code calls.
struct PythonHelpers {
  interp::Owned describe;        // (exception) -> dict, or the JavaScript error that it came from
  interp::Owned thrown;          // (value that JavaScript threw) -> exception
  interp::Owned stack_error;     // the class of what is raised where `thrown` cannot be asked
  interp::Owned blocked;         // (milliseconds, frame): the watchdog's report
  interp::Owned async_resource;  // ContextVar: the AsyncResource of the call that started a Task
};

class EnvData {
 public:
  explicit EnvData(napi_env__* environment);
  ~EnvData();
  EnvData(const EnvData&) = delete;
  EnvData& operator=(const EnvData&) = delete;

  // Calls a function of src/. Null after a failure, a JavaScript exception pending.
  [[nodiscard]] napi_value__* CallHelper(Helper helper, std::size_t count,
                                         napi_value__* const* arguments);
  // The references to them, which Node-API does not free with the environment.
  void DeleteHelpers();
  // Work for this thread waits (collected proxies, other threads' calls). Any thread.
  void WakeThread();

  [[nodiscard]] bool started() const { return loop_object.get() != nullptr; }

  napi_env__* env;
  std::array<napi_ref__*, kHelperCount> helpers{};
  ProxyTable proxies;
  OpenDeferreds deferreds;
  std::shared_ptr<interp::HostLink> link;
  std::shared_ptr<interp::Lane> lane;
  std::shared_ptr<JsHost> js_host;
  std::unique_ptr<NodeHost> node_host;
  PythonHelpers python;
  std::size_t max_buffer = 0;        // bytes; Node.js versions differ
  std::vector<interp::Owned> names;  // attribute names by number
  interp::Owned loop_object;
  loop::Loop* loop = nullptr;
  napi_async_cleanup_hook_handle__* cleanup = nullptr;

  int javascript_calls = 0;  // calls into JavaScript that Python on this thread waits for
  // Control came from JavaScript and nothing of the loop is in between: its async context is the
  // caller's own, so calls back into JavaScript need no scope.
  bool in_synchronous_call = false;
  bool main_thread = false;
  bool attaches = false;         // it was to enter an interpreter, which its end leaves
  int termination_looks = 1000;  // throw.cc: so many more, a millisecond apart
  int open_uv_owners = 0;        // NodeHost and the loop, until libuv has let go of their handles
  bool ending = false;           // the cleanup hook waits for them
  bool abandoned = false;        // past the exit sequence: what Python knows of it is left as it is
  int thread_number = 0;         // JavaScript's threadId
  std::vector<int> threads_above;
  int exit_grace = 0;                               // milliseconds
  std::unique_ptr<DescendantsEnd> descendants_end;  // from the `exit` event on
};

[[nodiscard]] EnvData* DataOf(napi_env__* env);
// A JavaScript string; empty for anything else.
[[nodiscard]] std::string TextOf(napi_env__* env, napi_value__* value);
// Those of an array.
[[nodiscard]] std::vector<std::string> Texts(napi_env__* env, napi_value__* array);

}  // namespace coloop::bridge
