// Calls from Python into JavaScript, from its own thread and from any other.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "base/host.h"
#include "interp/gil.h"
#include "interp/ref.h"

struct napi_value__;

namespace coloop::bridge {

class EnvData;

class JsHost final : public base::Host {
 public:
  explicit JsHost(EnvData& data) : data_(data), thread_(std::this_thread::get_id()) {}

  _object* Perform(std::uint32_t operation, std::uint32_t id, _object* const* arguments,
                   std::size_t count) override;
  [[nodiscard]] bool answers() override;
  void Released(std::uint32_t id) override;
  void ScopeReleased(std::uint32_t id) override;

  // The calls of other threads that wait. JavaScript thread, GIL not held.
  void ServeCalls();
  // Tells JavaScript which of its objects Python has let go of. JavaScript thread, GIL held.
  void DropReleased(const interp::Gil& gil);
  // So many that a synchronous loop should not go on without telling. JavaScript thread.
  [[nodiscard]] bool has_many_released() const { return released_count_.load() >= kManyReleased; }
  // From now on every call fails, and those that wait do so now: `reason` is a literal. After it
  // the EnvData is not touched any more. JavaScript thread.
  void Refuse(const char* reason);
  [[nodiscard]] std::thread::id thread() const { return thread_; }

 private:
  static constexpr std::size_t kManyReleased = 256;

  // A call of another thread: the caller waits, so its references stay valid.
  struct Call {
    std::uint32_t operation;
    std::uint32_t id;
    std::uint32_t scope;  // of the calling thread's context
    _object* const* arguments;
    std::size_t count;
    interp::Owned result;  // the value, or with `failed` the exception
    bool failed = false;
    bool done = false;
    bool refused = false;
  };

  _object* PerformHere(const interp::Gil& gil, std::uint32_t async_scope, std::uint32_t operation,
                       std::uint32_t id, _object* const* arguments, std::size_t count);
  _object* PerformElsewhere(const interp::Gil& gil, std::uint32_t operation, std::uint32_t id,
                            _object* const* arguments, std::size_t count);
  bool ConvertArguments(const interp::Gil& gil, _object* const* arguments, std::size_t count,
                        std::vector<napi_value__*>* converted);
  std::uint32_t ScopeId(const interp::Gil& gil);
  _object* ReadResult(const interp::Gil& gil, napi_value__* result);
  void NoteReleased(std::vector<std::uint32_t>* list, std::uint32_t id);
  napi_value__* TakeReleased(std::vector<std::uint32_t>* list, bool scopes);

  EnvData& data_;
  const std::thread::id thread_;
  std::mutex mutex_;  // guards what follows; never held while Python or JavaScript runs
  std::condition_variable served_;
  std::vector<Call*> waiting_;
  std::vector<std::uint32_t> released_;
  std::vector<std::uint32_t> released_scopes_;
  std::atomic<std::size_t> released_count_{0};  // in both, to be read without the lock
  const char* refusal_ = nullptr;
};

// Sets the Python exception for the JavaScript exception that is pending in the environment.
void RaisePendingJavaScript(EnvData& data, const interp::Gil& gil);

}  // namespace coloop::bridge
