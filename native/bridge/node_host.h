// The loop's host in a Node environment: scopes around its callbacks, and the work that other
// threads hand to this one.
//
// A batch of callbacks that only runs Python pays for no Node-API scope: EnsureScope opens the
// handle scope and the callback scope at the first settlement or JavaScript call, EndBatch closes
// them, and then nextTick and promise reactions run.
#pragma once

#include <mutex>

#include "loop/host.h"

struct uv_loop_s;
struct uv_async_s;
struct napi_env__;
struct napi_ref__;
struct napi_handle_scope__;
struct napi_callback_scope__;
struct napi_async_context__;

namespace coloop::bridge {

class EnvData;

class NodeHost final : public loop::LoopHost, public loop::ThreadService {
 public:
  explicit NodeHost(EnvData& data);
  ~NodeHost() override = default;

  // Opens what lives on the environment's uv loop. False if the environment gives none.
  [[nodiscard]] bool Open();
  // Closes it; `closed` runs on this thread when libuv has let go of it.
  void Close(void (*closed)(void*), void* argument);

  uv_loop_s* uv() override { return uv_; }
  void BeginBatch() override { in_batch_ = true; }
  void EndBatch() override;
  void Serve() override;

  // Before the first Node-API call of a batch that control entered from libuv.
  void EnsureScope();
  // Serve runs soon on this thread. Any thread; nothing after Close.
  void Wake();

 private:
  static void OnWake(uv_async_s* handle);

  EnvData& data_;
  uv_loop_s* uv_ = nullptr;
  uv_async_s* wake_ = nullptr;  // owned by libuv from Close on
  std::mutex wake_mutex_;       // guards wake_ against Close
  bool in_batch_ = false;
  napi_handle_scope__* handle_scope_ = nullptr;
  napi_callback_scope__* callback_scope_ = nullptr;
  napi_async_context__* context_ = nullptr;
  napi_ref__* resource_ = nullptr;
};

}  // namespace coloop::bridge
