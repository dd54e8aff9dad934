// Performing operations on JavaScript objects for Python.
#include "bridge/js_host.h"

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/completion.h"
#include "bridge/env_data.h"
#include "bridge/exporter.h"
#include "bridge/helpers.h"
#include "bridge/node_host.h"
#include "bridge/throw.h"
#include "convert/napi_source.h"
#include "convert/python_sink.h"
#include "convert/python_source.h"
#include "interp/error.h"
#include "interp/gil.h"
#include "interp/js_ref.h"
#include "interp/object.h"
#include "interp/ref.h"
#include "interp/run.h"

namespace coloop::bridge {

namespace {

constexpr std::size_t kLeading = 3;  // operation, id, scope

// JavaScript that Python waits for: a call of Python inside of it is nested.
class JavaScriptCall {
 public:
  explicit JavaScriptCall(EnvData& data) : data_(data) { ++data_.javascript_calls; }
  ~JavaScriptCall() { --data_.javascript_calls; }
  JavaScriptCall(const JavaScriptCall&) = delete;
  JavaScriptCall& operator=(const JavaScriptCall&) = delete;

 private:
  EnvData& data_;
  const interp::OutsidePython outside_;
};

class HandleScope {
 public:
  explicit HandleScope(napi_env env) : env_(env) {
    if (napi_open_handle_scope(env, &scope_) != napi_ok) scope_ = nullptr;
  }
  ~HandleScope() {
    if (scope_ != nullptr) napi_close_handle_scope(env_, scope_);
  }
  HandleScope(const HandleScope&) = delete;
  HandleScope& operator=(const HandleScope&) = delete;
  [[nodiscard]] bool ok() const { return scope_ != nullptr; }

 private:
  napi_env env_;
  napi_handle_scope scope_ = nullptr;
};

// JavaScript threw something, and something else when it was to tell what.
void RaiseUnexamined(EnvData& data, const interp::Gil& gil) {
  if (!TakeStackOverflow(data.env)) {
    napi_value thrown = nullptr;
    napi_get_and_clear_last_exception(data.env, &thrown);
    interp::Raise(gil, "RuntimeError", "JavaScript threw a value that cannot be examined");
    return;
  }
  const interp::Owned text =
      interp::Str(gil, "too little stack is left to tell what JavaScript threw");
  _object* argument = text.get();
  if (argument == nullptr) return;
  const interp::Owned exception =
      interp::Vectorcall(gil, data.python.stack_error.get(), &argument, 1, nullptr);
  if (exception) interp::RaiseException(gil, exception.get());
}

}  // namespace

_object* JsHost::Perform(std::uint32_t operation, std::uint32_t id, _object* const* arguments,
                         std::size_t count) {
  const interp::Gil gil = interp::Gil::FromPython();
  if (std::this_thread::get_id() == thread_) {
    if (refusal_ == nullptr) {
      const std::uint32_t scope = data_.in_synchronous_call ? 0 : ScopeId(gil);
      return PerformHere(gil, scope, operation, id, arguments, count);
    }
    interp::Raise(gil, "RuntimeError", refusal_);
    return nullptr;
  }
  return PerformElsewhere(gil, operation, id, arguments, count);
}

_object* JsHost::PerformHere(const interp::Gil& gil, std::uint32_t async_scope,
                             std::uint32_t operation, std::uint32_t id, _object* const* arguments,
                             std::size_t count) {
  data_.node_host->EnsureScope();
  const HandleScope scope(data_.env);
  if (!scope.ok()) {
    interp::Raise(gil, "RuntimeError", "the JavaScript environment is ending");
    return nullptr;
  }
  std::vector<napi_value> values(kLeading + count);
  napi_create_uint32(data_.env, operation, &values[0]);
  napi_create_uint32(data_.env, id, &values[1]);
  napi_create_uint32(data_.env, async_scope, &values[2]);
  if (!ConvertArguments(gil, arguments, count, &values)) return nullptr;
  napi_value result = nullptr;
  {
    const JavaScriptCall call(data_);
    const interp::GilRelease release(gil);
    result = data_.CallHelper(Helper::kPerform, values.size(), values.data());
  }
  if (result == nullptr) {
    RaisePendingJavaScript(data_, gil);
    return nullptr;
  }
  return ReadResult(gil, result);
}

std::uint32_t JsHost::ScopeId(const interp::Gil& gil) {
  const interp::Owned resource = interp::ContextVariable(gil, data_.python.async_resource.get());
  return resource ? interp::ScopeId(resource.get(), *data_.link) : 0;
}

bool JsHost::ConvertArguments(const interp::Gil& gil, _object* const* arguments, std::size_t count,
                              std::vector<napi_value>* converted) {
  Exporter exporter(data_, gil);
  for (std::size_t i = 0; i < count; ++i) {
    napi_value value = exporter.Convert(arguments[i], "args", static_cast<int>(i));
    if (value == nullptr) {
      exporter.RaiseFailure();
      return false;
    }
    (*converted)[kLeading + i] = value;
  }
  return true;
}

_object* JsHost::ReadResult(const interp::Gil& gil, napi_value result) {
  convert::PythonSink sink(gil, data_.link);
  convert::NapiSource source(data_.env, data_.proxies);
  if (source.Read(result, sink)) return sink.Take().release();
  const std::string reason = source.error().empty()
                                 ? interp::TakeAsError(gil, "ERR_COLOOP_CONVERSION").message
                                 : source.error();
  interp::Raise(gil, "TypeError", "result" + source.path() + ": " + reason);
  return nullptr;
}

void RaisePendingJavaScript(EnvData& data, const interp::Gil& gil) {
  bool pending = false;
  napi_value thrown = nullptr;
  napi_is_exception_pending(data.env, &pending);
  if (!pending || napi_get_and_clear_last_exception(data.env, &thrown) != napi_ok) {
    interp::Raise(gil, "RuntimeError", "the JavaScript environment is ending");
    return;
  }
  napi_value node = data.CallHelper(Helper::kEncodeThrown, 1, &thrown);
  if (node == nullptr) {
    RaiseUnexamined(data, gil);
    return;
  }
  convert::PythonSink sink(gil, data.link);
  convert::NapiSource source(data.env, data.proxies);
  if (!source.Read(node, sink)) {
    if (!source.error().empty()) interp::Raise(gil, "RuntimeError", source.error());
    return;
  }
  const interp::Owned value = sink.Take();
  _object* argument = value.get();
  const interp::Owned exception =
      interp::Vectorcall(gil, data.python.thrown.get(), &argument, 1, nullptr);
  if (exception) interp::RaiseException(gil, exception.get());
}

_object* JsHost::PerformElsewhere(const interp::Gil& gil, std::uint32_t operation, std::uint32_t id,
                                  _object* const* arguments, std::size_t count) {
  Call call{operation, id, 0, arguments, count, interp::Owned()};
  const char* refusal = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    refusal = refusal_;
  }
  // The environment ends with the GIL held, so it is there still.
  if (refusal == nullptr) call.scope = ScopeId(gil);
  {
    const interp::GilRelease release(gil);
    std::unique_lock<std::mutex> lock(mutex_);
    refusal = refusal_;
    if (refusal == nullptr) {
      waiting_.push_back(&call);
      data_.WakeThread();
      served_.wait(lock, [&call] { return call.done; });
      if (call.refused) refusal = refusal_ != nullptr ? refusal_ : "Python is exiting";
    }
  }
  if (refusal != nullptr) {
    interp::Raise(gil, "RuntimeError", refusal);
    return nullptr;
  }
  if (call.failed) {
    interp::RaiseException(gil, call.result.get());
    return nullptr;
  }
  return call.result.release();
}

void JsHost::ServeCalls() {
  std::vector<Call*> batch;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    batch.swap(waiting_);
  }
  for (Call* call : batch) {
    {
      const interp::GilAcquire acquire;
      if (acquire.ok()) {
        call->result = interp::Owned(PerformHere(acquire.gil(), call->scope, call->operation,
                                                 call->id, call->arguments, call->count));
        call->failed = !call->result;
        if (call->failed) call->result = interp::TakeException(acquire.gil());
      } else {
        call->refused = true;
      }
    }
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      call->done = true;
    }
    served_.notify_all();
  }
}

void JsHost::NoteReleased(std::vector<std::uint32_t>* list, std::uint32_t id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (refusal_ != nullptr) return;
  list->push_back(id);
  if (released_count_.fetch_add(1) == 0) data_.WakeThread();
}

void JsHost::Released(std::uint32_t id) { NoteReleased(&released_, id); }
void JsHost::ScopeReleased(std::uint32_t id) { NoteReleased(&released_scopes_, id); }

// The ids as a JavaScript array; those that stand for objects only if nothing stands for them now.
napi_value JsHost::TakeReleased(std::vector<std::uint32_t>* list, bool scopes) {
  std::vector<std::uint32_t> batch;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    batch.swap(*list);
    released_count_.fetch_sub(batch.size());
  }
  napi_value ids = nullptr;
  if (napi_create_array(data_.env, &ids) != napi_ok) return nullptr;
  std::uint32_t count = 0;
  for (const std::uint32_t id : batch) {
    if (!scopes) {
      const auto entry = data_.link->entries.find(id);
      if (entry == data_.link->entries.end() || --entry->second.wrappers > 0) continue;
      data_.link->entries.erase(entry);
    }
    napi_value value = nullptr;
    napi_create_uint32(data_.env, id, &value);
    napi_set_element(data_.env, ids, count++, value);
  }
  return ids;
}

void JsHost::DropReleased(const interp::Gil&) {
  if (released_count_.load() == 0) return;
  data_.node_host->EnsureScope();
  const HandleScope scope(data_.env);
  if (!scope.ok()) return;
  napi_value arguments[] = {TakeReleased(&released_, false), TakeReleased(&released_scopes_, true)};
  if (arguments[0] == nullptr || arguments[1] == nullptr) return;
  const JavaScriptCall call(data_);
  if (data_.CallHelper(Helper::kReleaseHosts, 2, arguments) == nullptr) {
    napi_value thrown = nullptr;
    napi_get_and_clear_last_exception(data_.env, &thrown);
  }
}

bool JsHost::answers() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return refusal_ == nullptr;
}

void JsHost::Refuse(const char* reason) {
  std::vector<Call*> batch;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    refusal_ = reason;
    batch.swap(waiting_);
    for (Call* call : batch) {
      call->refused = true;
      call->done = true;
    }
  }
  served_.notify_all();
}

}  // namespace coloop::bridge
