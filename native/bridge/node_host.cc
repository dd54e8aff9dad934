// Scopes, the wake-up handle and the service of other threads' work.
#include "bridge/node_host.h"

#include <node_api.h>
#include <uv.h>

#include <mutex>

#include "base/check.h"
#include "base/counters.h"
#include "bridge/deferred.h"
#include "bridge/env_data.h"
#include "bridge/js_host.h"
#include "interp/gil.h"
#include "interp/signals.h"
#include "loop/host.h"

namespace coloop::bridge {

namespace {

struct Closing {
  void (*closed)(void*);
  void* argument;
};

}  // namespace

NodeHost::NodeHost(EnvData& data) : data_(data) {}

bool NodeHost::Open() {
  if (napi_get_uv_event_loop(data_.env, &uv_) != napi_ok) return false;
  wake_ = new uv_async_t;
  if (uv_async_init(uv_, wake_, OnWake) != 0) {
    delete wake_;
    wake_ = nullptr;
    return false;
  }
  base::CountLive(base::Live::kUvHandle, 1);
  wake_->data = this;
  uv_unref(reinterpret_cast<uv_handle_t*>(wake_));

  napi_value resource = nullptr;
  napi_value name = nullptr;
  napi_create_object(data_.env, &resource);
  napi_create_string_latin1(data_.env, "coloop", NAPI_AUTO_LENGTH, &name);
  // The resource is kept: without it Node 20 loses the AsyncLocalStorage store.
  return napi_create_reference(data_.env, resource, 1, &resource_) == napi_ok &&
         napi_async_init(data_.env, resource, name, &context_) == napi_ok;
}

void NodeHost::Close(void (*closed)(void*), void* argument) {
  if (context_ != nullptr) napi_async_destroy(data_.env, context_);
  if (resource_ != nullptr) napi_delete_reference(data_.env, resource_);
  context_ = nullptr;
  resource_ = nullptr;
  const std::lock_guard<std::mutex> lock(wake_mutex_);
  COLOOP_CHECK(wake_ != nullptr);
  wake_->data = new Closing{closed, argument};
  uv_close(reinterpret_cast<uv_handle_t*>(wake_), [](uv_handle_t* handle) {
    auto* closing = static_cast<Closing*>(handle->data);
    base::CountLive(base::Live::kUvHandle, -1);
    delete reinterpret_cast<uv_async_t*>(handle);
    closing->closed(closing->argument);
    delete closing;
  });
  wake_ = nullptr;
}

void NodeHost::EnsureScope() {
  if (!in_batch_ || handle_scope_ != nullptr) return;
  if (napi_open_handle_scope(data_.env, &handle_scope_) != napi_ok) return;
  napi_value resource = nullptr;
  napi_get_reference_value(data_.env, resource_, &resource);
  if (napi_open_callback_scope(data_.env, resource, context_, &callback_scope_) != napi_ok) {
    callback_scope_ = nullptr;
  }
}

void NodeHost::EndBatch() {
  // Closing the callback scope runs JavaScript, which may call Python: that is no batch of ours.
  in_batch_ = false;
  napi_callback_scope callback_scope = callback_scope_;
  napi_handle_scope handle_scope = handle_scope_;
  callback_scope_ = nullptr;
  handle_scope_ = nullptr;
  if (callback_scope != nullptr) napi_close_callback_scope(data_.env, callback_scope);
  if (handle_scope != nullptr) napi_close_handle_scope(data_.env, handle_scope);
}

void NodeHost::Wake() {
  Ask();
  {
    const std::lock_guard<std::mutex> lock(wake_mutex_);
    if (wake_ != nullptr) uv_async_send(wake_);
  }
  loop::WakeOwnedLoop(this);
}

void NodeHost::OnWake(uv_async_t* handle) {
  auto* host = static_cast<NodeHost*>(handle->data);
  host->BeginBatch();
  host->Serve();
  host->EndBatch();
}

void NodeHost::Serve() {
  BeginToServe();
  data_.js_host->ServeCalls();
  const interp::GilAcquire acquire;
  if (!acquire.ok()) return;
  if (data_.main_thread && data_.started()) {
    interp::RunSignalHandlers(acquire.gil(), data_.loop_object.get());
  }
  data_.proxies.DropCollected(acquire.gil());
  data_.js_host->DropReleased(acquire.gil());
  RejectDropped(data_, acquire.gil());
}

}  // namespace coloop::bridge
