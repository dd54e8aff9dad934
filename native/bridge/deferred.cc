// Settling promises from the loop.
#include "bridge/deferred.h"

#include <node_api.h>

#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/completion.h"
#include "base/counters.h"
#include "bridge/env_data.h"
#include "bridge/exporter.h"
#include "bridge/js_host.h"
#include "bridge/node_host.h"
#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::bridge {

Deferred::Deferred(EnvData& data, const interp::Gil& gil) : data_(data), gil_(gil) {}

bool Deferred::OnThread() const { return data_.js_host->thread() == std::this_thread::get_id(); }

bool Deferred::Create(napi_value* promise) {
  if (napi_create_promise(data_.env, &deferred_, promise) != napi_ok) return false;
  base::CountLive(base::Live::kDeferred, 1);
  data_.deferreds.open.insert(this);
  return true;
}

napi_deferred Deferred::Take() {
  napi_deferred deferred = std::exchange(deferred_, nullptr);
  if (deferred == nullptr) return nullptr;
  base::CountLive(base::Live::kDeferred, -1);
  data_.deferreds.open.erase(this);
  return deferred;
}

Deferred::~Deferred() {
  if (deferred_ == nullptr) return;
  data_.deferreds.dropped.push_back(Take());
  if (OnThread()) {
    RejectDropped(data_, gil_);
  } else {
    data_.WakeThread();
  }
}

void RejectDropped(EnvData& data, const interp::Gil&) {
  if (data.deferreds.dropped.empty()) return;
  std::vector<napi_deferred> dropped;
  dropped.swap(data.deferreds.dropped);
  data.node_host->EnsureScope();
  napi_handle_scope scope = nullptr;
  if (napi_open_handle_scope(data.env, &scope) != napi_ok) return;
  for (napi_deferred deferred : dropped) {
    napi_value error =
        OwnError(data, "ERR_COLOOP_CLOSED", "the loop was closed before this settled");
    if (error != nullptr) napi_reject_deferred(data.env, deferred, error);
  }
  napi_close_handle_scope(data.env, scope);
}

std::vector<interp::Owned> RejectOpen(EnvData& data, const interp::Gil& gil,
                                      bool javascript_lives) {
  std::vector<interp::Owned> futures;
  for (Deferred* deferred : std::unordered_set<Deferred*>(data.deferreds.open)) {
    data.deferreds.dropped.push_back(deferred->Take());
    futures.push_back(std::move(deferred->future_));
  }
  if (javascript_lives) RejectDropped(data, gil);
  data.deferreds.dropped.clear();
  return futures;
}

void Deferred::Settle(_object* value, bool is_error) {
  const interp::Owned kept = std::move(future_);
  if (deferred_ == nullptr || !OnThread()) return;
  data_.node_host->EnsureScope();
  napi_handle_scope scope = nullptr;
  if (napi_open_handle_scope(data_.env, &scope) != napi_ok) return;
  Exporter exporter(data_, gil_);
  napi_value converted = is_error ? exporter.Exception(value) : exporter.Convert(value);
  const bool rejected = is_error || converted == nullptr;
  if (converted == nullptr) converted = exporter.FailureAsError();
  napi_deferred deferred = Take();
  if (converted != nullptr) {
    rejected ? napi_reject_deferred(data_.env, deferred, converted)
             : napi_resolve_deferred(data_.env, deferred, converted);
  }
  napi_close_handle_scope(data_.env, scope);
}

}  // namespace coloop::bridge
