// A Completion that settles a promise.
#pragma once

#include <unordered_set>
#include <vector>

#include "base/completion.h"
#include "interp/gil.h"
#include "interp/ref.h"

struct napi_value__;
struct napi_deferred__;

namespace coloop::bridge {

class EnvData;

class Deferred;

// The promises of one environment that are not settled. GIL held throughout.
struct OpenDeferreds {
  std::unordered_set<Deferred*> open;
  std::vector<napi_deferred__*> dropped;  // by another thread's garbage collection
};

// JavaScript thread: rejects what other threads dropped.
void RejectDropped(EnvData& data, const interp::Gil& gil);
// JavaScript thread, at the end of Python in this environment: rejects all. With JavaScript gone
// nobody is told.
// The Tasks that they kept, for the caller to drop when nothing runs them any more.
[[nodiscard]] std::vector<interp::Owned> RejectOpen(EnvData& data, const interp::Gil& gil,
                                                    bool javascript_lives);

class Deferred final : public base::Completion {
 public:
  Deferred(EnvData& data, const interp::Gil& gil);
  Deferred(const Deferred&) = delete;
  Deferred& operator=(const Deferred&) = delete;
  // Not settled: the Task was collected, on whichever thread. The promise is rejected.
  ~Deferred() override;

  [[nodiscard]] bool Create(napi_value__** promise);
  void Keep(_object* future) override { future_ = interp::Owned::NewRef(future); }
  void Settle(_object* value, bool is_error) override;

 private:
  friend std::vector<interp::Owned> RejectOpen(EnvData& data, const interp::Gil& gil,
                                               bool javascript_lives);

  [[nodiscard]] bool OnThread() const;
  // The promise's own half: what is left here settles nothing any more.
  [[nodiscard]] napi_deferred__* Take();

  EnvData& data_;  // gone when deferred_ is null
  const interp::Gil gil_;
  napi_deferred__* deferred_ = nullptr;
  interp::Owned future_;
};

}  // namespace coloop::bridge
