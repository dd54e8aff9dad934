// Settling promises from the loop.
#include "bridge/deferred.h"

#include <node_api.h>

#include "base/counters.h"
#include "bridge/env_data.h"
#include "bridge/exporter.h"
#include "bridge/js_host.h"
#include "bridge/node_host.h"

namespace coloop::bridge {

Deferred::Deferred(EnvData& data, const interp::Gil& gil)
    : data_(data), gil_(gil), link_(data.link) {}

bool Deferred::EnvironmentLives() const {
  return link_->host != nullptr && data_.js_host->thread() == std::this_thread::get_id();
}

bool Deferred::Create(napi_value* promise) {
  if (napi_create_promise(data_.env, &deferred_, promise) != napi_ok) return false;
  base::CountLive(base::Live::kDeferred, 1);
  return true;
}

Deferred::~Deferred() {
  if (deferred_ == nullptr) return;
  base::CountLive(base::Live::kDeferred, -1);
  if (!EnvironmentLives()) return;
  data_.node_host->EnsureScope();
  napi_handle_scope scope = nullptr;
  if (napi_open_handle_scope(data_.env, &scope) != napi_ok) return;
  napi_value error =
      OwnError(data_, "ERR_COLOOP_CLOSED", "the loop was closed before this settled");
  if (error != nullptr) napi_reject_deferred(data_.env, deferred_, error);
  napi_close_handle_scope(data_.env, scope);
}

void Deferred::Settle(_object* value, bool is_error) {
  if (!EnvironmentLives()) return;
  data_.node_host->EnsureScope();
  napi_handle_scope scope = nullptr;
  if (napi_open_handle_scope(data_.env, &scope) != napi_ok) return;
  Exporter exporter(data_, gil_);
  napi_value converted = is_error ? exporter.Exception(value) : exporter.Convert(value);
  const bool rejected = is_error || converted == nullptr;
  if (converted == nullptr) converted = exporter.FailureAsError();
  napi_deferred deferred = deferred_;
  deferred_ = nullptr;
  base::CountLive(base::Live::kDeferred, -1);
  if (converted != nullptr) {
    rejected ? napi_reject_deferred(data_.env, deferred, converted)
             : napi_resolve_deferred(data_.env, deferred, converted);
  }
  napi_close_handle_scope(data_.env, scope);
}

}  // namespace coloop::bridge
