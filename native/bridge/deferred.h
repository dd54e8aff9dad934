// A Completion that settles a promise.
#pragma once

#include <memory>

#include "base/completion.h"
#include "interp/gil.h"
#include "interp/js_ref.h"

struct napi_value__;
struct napi_deferred__;

namespace coloop::bridge {

class EnvData;

class Deferred final : public base::Completion {
 public:
  Deferred(EnvData& data, const interp::Gil& gil);
  // Not settled: the loop was closed under it. The promise is rejected if JavaScript can still run;
  // the Task may be collected on another thread, or after the environment has ended.
  ~Deferred() override;

  [[nodiscard]] bool Create(napi_value__** promise);
  void Settle(_object* value, bool is_error) override;

 private:
  [[nodiscard]] bool EnvironmentLives() const;

  EnvData& data_;
  const interp::Gil gil_;
  std::shared_ptr<interp::HostLink> link_;  // says whether data_ is still there
  napi_deferred__* deferred_ = nullptr;
};

}  // namespace coloop::bridge
