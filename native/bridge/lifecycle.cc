// The life of Python in the process and in one environment.
#include "bridge/lifecycle.h"

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/result.h"
#include "bridge/deferred.h"
#include "bridge/entry.h"
#include "bridge/env_data.h"
#include "bridge/exporter.h"
#include "bridge/helpers.h"
#include "bridge/js_host.h"
#include "bridge/node_host.h"
#include "bridge/signals.h"
#include "bridge/throw.h"
#include "bridge/worker_threads.h"
#include "convert/python_sink.h"
#include "convert/python_source.h"
#include "interp/error.h"
#include "interp/gil.h"
#include "interp/interpreter.h"
#include "interp/interrupt.h"
#include "interp/js_ref.h"
#include "interp/module.h"
#include "interp/object.h"
#include "interp/own_interpreter.h"
#include "interp/per_interpreter.h"
#include "interp/ref.h"
#include "interp/run.h"
#include "interp/watch.h"
#include "interp/watchdog.h"
#include "io/module_part.h"
#include "loop/host.h"
#include "loop/loop.h"
#include "sandbox/audit_hook.h"
#include "sandbox/children.h"
#include "sandbox/policy.h"

namespace coloop::bridge {

namespace {

using base::Result;
using interp::Owned;

std::mutex process_mutex;
bool process_started = false;    // guarded by process_mutex
std::string process_executable;  // the interpreter it is; guarded by process_mutex

struct StartOptions {
  interp::InterpreterConfig interpreter;
  sandbox::Options sandbox;
  bool main_thread = false;
  bool own_interpreter = false;
  int thread_number = 0;
  int exit_grace = 0;
  std::vector<int> threads_above;
};

// Null when the Worker is being terminated; what is read from that is empty.
napi_value Property(napi_env env, napi_value object, const char* name) {
  napi_value value = nullptr;
  napi_get_named_property(env, object, name, &value);
  return value;
}

std::vector<int> Numbers(napi_env env, napi_value array) {
  std::uint32_t length = 0;
  napi_get_array_length(env, array, &length);
  std::vector<int> numbers(length, 0);
  for (std::uint32_t i = 0; i < length; ++i) {
    napi_value element = nullptr;
    napi_get_element(env, array, i, &element);
    napi_get_value_int32(env, element, &numbers[i]);
  }
  return numbers;
}

StartOptions ReadOptions(napi_env env, napi_value object) {
  StartOptions options;
  options.interpreter.executable = TextOf(env, Property(env, object, "executable"));
  options.interpreter.package_folder = TextOf(env, Property(env, object, "packageFolder"));
  napi_get_value_bool(env, Property(env, object, "deepBind"), &options.interpreter.deep_bind);
  napi_get_value_bool(env, Property(env, object, "mainThread"), &options.main_thread);
  napi_get_value_bool(env, Property(env, object, "ownInterpreter"), &options.own_interpreter);
  napi_get_value_int32(env, Property(env, object, "threadId"), &options.thread_number);
  napi_get_value_int32(env, Property(env, object, "exitGrace"), &options.exit_grace);
  options.threads_above = Numbers(env, Property(env, object, "threadsAbove"));
  options.sandbox.allow = Texts(env, Property(env, object, "allow"));
  options.sandbox.deny = Texts(env, Property(env, object, "deny"));
  options.sandbox.rules = Texts(env, Property(env, object, "rules"));
  options.sandbox.watch = Texts(env, Property(env, object, "watch"));
  napi_get_value_bool(env, Property(env, object, "strict"), &options.sandbox.strict);
  napi_get_value_bool(env, Property(env, object, "children"), &options.sandbox.children);
  return options;
}

// Once in each interpreter.
Result<void> PrepareConversion() {
  const interp::GilAcquire acquire;
  if (!convert::InitPythonSink(acquire.gil()) || !convert::InitPythonSource(acquire.gil())) {
    return interp::TakeAsError(acquire.gil(), "ERR_COLOOP_START");
  }
  return {};
}

Result<void> StartProcess(const StartOptions& options) {
  const std::lock_guard<std::mutex> lock(process_mutex);
  if (process_started) {
    if (options.interpreter.executable != process_executable) {
      return base::Error{"ERR_COLOOP_OTHER_INTERPRETER",
                         "this process runs " + process_executable + "; it cannot become " +
                             options.interpreter.executable + " as well"};
    }
    return options.own_interpreter ? Result<void>() : sandbox::CheckInstalled(options.sandbox);
  }
  if (interp::IsRunByOthers()) {
    return base::Error{"ERR_COLOOP_START",
                       "Python runs in this process already, started by another library or another "
                       "copy of this package, and a process has one"};
  }
  if (!options.main_thread) {
    return base::Error{"ERR_COLOOP_WORKER_FIRST",
                       "Python.start() must run on the main thread before a Worker uses it"};
  }
  Result<void> installed = sandbox::Install(options.sandbox);
  if (!installed.ok()) return installed;
  interp::AddModulePart(interp::AddJsRefToModule);
  interp::AddModulePart(interp::AddJsBufferToModule);
  interp::AddModulePart(loop::AddToModule);
  interp::AddModulePart(io::AddToModule);
  interp::AddModulePart(sandbox::AddToModule);
  interp::RegisterModule();
  interp::InterpreterConfig config = options.interpreter;
  config.before_user_code = sandbox::Arm;
  process_executable = options.interpreter.executable;
  process_started = true;  // whatever happens now, it cannot be tried again
  Result<void> initialized = interp::Initialize(config);
  if (!initialized.ok()) return initialized;
  return PrepareConversion();
}

// Python has been started on this thread, so what is left of it here needs the GIL.
bool IsAttached() { return interp::CurrentGilSlot().state != nullptr; }

void OnUvOwnerClosed(void* argument) {
  auto* data = static_cast<EnvData*>(argument);
  if (--data->open_uv_owners > 0 || !data->ending) return;
  napi_async_cleanup_hook_handle hook = data->cleanup;
  if (!data->main_thread && data->attaches && IsAttached()) interp::LeaveInterpreter();
  if (!data->abandoned) delete data;
  napi_remove_async_cleanup_hook(hook);
}

// Everything of this environment that Python knows ends here.
void CloseEnvironment(EnvData& data, const interp::Gil& gil, bool javascript_lives) {
  data.js_host->Refuse("Python was closed in this JavaScript environment");
  loop::SetThreadService(nullptr);
  RemoveWorkerThread(data.thread_number);
  if (data.main_thread) SetMainHost(nullptr);
  if (data.main_thread) interp::StopWatchdog(gil);
  interp::RemoveLane(gil, data.lane);
  interp::SetCurrentLane(nullptr);
  std::vector<interp::Owned> tasks = RejectOpen(data, gil, javascript_lives);
  loop::CloseHosted(gil, data.loop_object.get(), OnUvOwnerClosed, &data);
  tasks.clear();
  data.loop = nullptr;
  data.loop_object.reset();
  data.proxies.Clear(gil);
  data.names.clear();
  data.python = PythonHelpers();
  data.link->host = nullptr;
  data.link = nullptr;
  data.node_host->Close(OnUvOwnerClosed, &data);
}

// Past the exit sequence the process goes and nothing of Python's is freed, but a Worker whose uv
// loop has open handles would abort the process.
void Abandon(EnvData& data) {
  if (data.main_thread) SetMainHost(nullptr);
  if (!data.started()) return;
  data.abandoned = true;
  data.loop->CloseHandles(OnUvOwnerClosed, &data);
  data.node_host->Close(OnUvOwnerClosed, &data);
}

// Once; later calls do nothing.
void EndProcess(EnvData& data, int grace, int code) {
  if (data.started()) data.js_host->Refuse("JavaScript cannot be called: the process is exiting");
  interp::LeftExits left(grace);
  const bool others = interp::RunExitSequence(grace, code, sandbox::OrphanChildren);
  left.Wait();
  // Node waits for its Workers, and they for Python.
  if (others) interp::EndDespite(grace, code);
}

// Worker: always runs. Main thread: only when the process ends by itself, after `exit`.
void OnEnvironmentEnd(napi_async_cleanup_hook_handle, void* argument) {
  auto* data = static_cast<EnvData*>(argument);
  data->descendants_end.reset();
  // The program may have removed the listener of `exit`.
  if (data->main_thread && data->attaches) EndProcess(*data, data->exit_grace, 0);
  {
    const interp::GilAcquire acquire;
    if (!acquire.ok()) {
      if (IsAttached()) Abandon(*data);
    } else if (data->started()) {
      interp::ClearInterrupt(acquire.gil());
      CloseEnvironment(*data, acquire.gil(), false);
    }
  }
  data->DeleteHelpers();
  data->ending = true;
  ++data->open_uv_owners;
  OnUvOwnerClosed(data);
}

// The Worker's thread gets Python; true if in an interpreter that has just been made.
Result<bool> AttachWorker(const StartOptions& options) {
  if (IsAttached()) {
    if (interp::HasOwnInterpreter() == options.own_interpreter) {
      if (!options.own_interpreter) return false;
      const interp::GilAcquire acquire;
      Result<void> same = sandbox::CheckSameOwn(options.sandbox);
      if (!same.ok()) return same.error();
      return false;
    }
    return base::Error{"ERR_COLOOP_OTHER_INTERPRETER",
                       std::string("this Worker's interpreter is ") +
                           (options.own_interpreter ? "\"shared\"" : "\"own\"") +
                           " since its first start, and stays so; use another Worker"};
  }
  if (!options.own_interpreter) {
    interp::AttachThread(interp::MainInterpreter());
    return false;
  }
  interp::InterpreterConfig config = options.interpreter;
  config.before_user_code = sandbox::StartScope::Begin;
  config.policy = sandbox::KeyOf(options.sandbox);
  Result<bool> entered = interp::EnterOwnInterpreter(config);
  if (entered.ok() && entered.value()) {
    Result<void> prepared = PrepareConversion();
    if (!prepared.ok()) return prepared.error();
  }
  return entered;
}

Result<void> OpenEnvironment(EnvData& data, const interp::Gil& gil) {
  const Owned bridge = interp::Import(gil, "_erlang_impl._bridge");
  if (!bridge) return interp::TakeAsError(gil, "ERR_COLOOP_START");
  data.python.describe = interp::GetAttributeString(gil, bridge.get(), "describe");
  data.python.thrown = interp::GetAttributeString(gil, bridge.get(), "thrown");
  data.python.stack_error = interp::GetAttributeString(gil, bridge.get(), "StackError");
  data.python.blocked = interp::GetAttributeString(gil, bridge.get(), "blocked");
  data.python.async_resource = interp::GetAttributeString(gil, bridge.get(), "async_resource");
  if (!data.node_host->Open()) {
    return base::Error{"ERR_COLOOP_START", "this environment has no libuv loop"};
  }
  ++data.open_uv_owners;
  data.js_host = std::make_shared<JsHost>(data);
  data.link = std::make_shared<interp::HostLink>();
  data.link->host = data.js_host;
  ++data.open_uv_owners;
  data.loop_object = loop::NewHosted(gil, data.node_host.get(), OnUvOwnerClosed, &data);
  if (!data.loop_object) {
    const base::Error error = interp::TakeAsError(gil, "ERR_COLOOP_START");
    data.node_host->Close(OnUvOwnerClosed, &data);
    return error;
  }
  data.loop = loop::Loop::From(gil, data.loop_object.get());
  loop::SetThreadService(data.node_host.get());
  if (!data.main_thread) {
    AddWorkerThread(data.thread_number, {&interp::CurrentInterpreter(), interp::ThreadIdent(gil)},
                    data.threads_above);
  }
  if (data.lane == nullptr) {
    data.lane = std::make_shared<interp::Lane>(gil, data.main_thread, data.thread_number);
  }
  data.lane->loop = data.loop_object.get();
  data.lane->wake = loop::InterruptOwnedLoops;
  interp::SetCurrentLane(data.lane);
  interp::AddLane(data.lane);
  if (data.main_thread) SetMainHost(data.node_host.get());
  return {};
}

Result<void> StartEnvironment(EnvData& data) {
  const interp::GilAcquire acquire;
  if (!acquire.ok()) return base::Error{"ERR_COLOOP_EXITED", "the process is exiting"};
  Result<void> opened = OpenEnvironment(data, acquire.gil());
  if (!opened.ok()) data.python = PythonHelpers();  // the data of one not started needs no GIL
  return opened;
}

napi_value Throw(EnvData& data, const base::Error& error) {
  ThrowLast(data, OwnError(data, error.code, error.message));
  return nullptr;
}

// The JavaScript of this package was loaded twice here, and both copies would drive Python.
base::Error StartedByAnotherCopy() {
  return base::Error{
      "ERR_COLOOP_START",
      "Python runs on this thread already, started by another copy of this package's "
      "JavaScript; load it once, or close that one's Python before"};
}

// setup(helpers[], largest buffer): before each start, since another copy of the JavaScript may
// have set its own.
napi_value Setup(napi_env env, napi_callback_info info) {
  std::size_t count = 2;
  napi_value arguments[2] = {};
  EnvData* data = DataOf(env);
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  if (data->started()) return Throw(*data, StartedByAnotherCopy());
  data->DeleteHelpers();
  for (std::size_t i = 0; i < kHelperCount; ++i) {
    napi_value function = nullptr;
    napi_get_element(env, arguments[0], static_cast<std::uint32_t>(i), &function);
    if (napi_create_reference(env, function, 1, &data->helpers[i]) != napi_ok) return nullptr;
  }
  double max_buffer = 0;
  napi_get_value_double(env, arguments[1], &max_buffer);
  data->max_buffer = static_cast<std::size_t>(max_buffer);
  if (data->node_host != nullptr) return nullptr;
  data->node_host = std::make_unique<NodeHost>(*data);
  COLOOP_CHECK(napi_add_async_cleanup_hook(env, OnEnvironmentEnd, data, &data->cleanup) == napi_ok);
  // That frees it now: finalizers that use it may run after Node-API's own.
  COLOOP_CHECK(napi_set_instance_data(env, data, nullptr, nullptr) == napi_ok);
  return nullptr;
}

// start(options) -> proxy of `_erlang_impl._bridge`
napi_value Start(napi_env env, napi_callback_info info) {
  std::size_t count = 1;
  napi_value object = nullptr;
  EnvData& data = *DataOf(env);
  napi_get_cb_info(env, info, &count, &object, nullptr, nullptr);
  const StartOptions options = ReadOptions(env, object);
  data.main_thread = options.main_thread;
  data.thread_number = options.thread_number;
  data.threads_above = options.threads_above;
  data.exit_grace = options.exit_grace;
  if (loop::CurrentThreadService() != nullptr) return Throw(data, StartedByAnotherCopy());
  const Result<void> process = StartProcess(options);
  if (!process.ok()) return Throw(data, process.error());
  Result<sandbox::OwnChoice> own = sandbox::OwnChoice();
  if (options.own_interpreter) own = sandbox::ParseOwn(options.sandbox);
  if (!own.ok()) return Throw(data, own.error());
  const sandbox::StartScope scope;
  data.attaches = true;
  Result<bool> attached = data.main_thread ? Result<bool>(false) : AttachWorker(options);
  if (!attached.ok()) return Throw(data, attached.error());
  const bool is_new = attached.value();
  const Result<void> environment = StartEnvironment(data);
  if (!environment.ok()) return Throw(data, environment.error());
  Entry entry(data);
  if (!entry.ok()) return nullptr;
  if (is_new && !interp::NoteStarted(entry.gil())) return entry.Fail();
  const Owned bridge = interp::Import(entry.gil(), "_erlang_impl._bridge");
  sandbox::Seal(entry.gil());
  if (is_new) sandbox::SetOwn(std::move(own.value()));
  napi_value proxy = bridge ? entry.exporter().Proxy(bridge.get()) : nullptr;
  return proxy != nullptr ? proxy : entry.Fail();
}

// checkSandbox(options): throws unless a start here with these sandbox options could follow.
napi_value CheckSandbox(napi_env env, napi_callback_info info) {
  std::size_t count = 1;
  napi_value object = nullptr;
  EnvData& data = *DataOf(env);
  napi_get_cb_info(env, info, &count, &object, nullptr, nullptr);
  const sandbox::Options options = ReadOptions(env, object).sandbox;
  const interp::GilAcquire acquire;
  if (!acquire.ok()) return nullptr;
  const Result<void> same = interp::HasOwnInterpreter() ? sandbox::CheckSameOwn(options)
                                                        : sandbox::CheckInstalled(options);
  return same.ok() ? nullptr : Throw(data, same.error());
}

// loop() -> proxy of the hosted loop
napi_value GetLoop(napi_env env, napi_callback_info) {
  EnvData& data = *DataOf(env);
  Entry entry(data);
  if (!entry.ok()) return nullptr;
  napi_value proxy = entry.exporter().Proxy(data.loop_object.get());
  return proxy != nullptr ? proxy : entry.Fail();
}

// close(): after Python's own clean-up; nothing of this environment can be used afterwards.
napi_value Close(napi_env env, napi_callback_info) {
  EnvData& data = *DataOf(env);
  if (!data.started()) return nullptr;
  const interp::GilAcquire acquire;
  if (acquire.ok()) CloseEnvironment(data, acquire.gil(), true);
  return nullptr;
}

// exit(grace in ms, exit code): the main thread's `exit` event.
napi_value Exit(napi_env env, napi_callback_info info) {
  std::size_t count = 2;
  napi_value arguments[2] = {nullptr, nullptr};
  EnvData& data = *DataOf(env);
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  std::int32_t grace = 0;
  std::int32_t code = 0;
  napi_get_value_int32(env, arguments[0], &grace);
  napi_get_value_int32(env, arguments[1], &code);
  EndProcess(data, grace, code);
  return nullptr;
}

// interrupt(threadId): Python on that Worker's thread, and on those of its own Workers.
napi_value Interrupt(napi_env env, napi_callback_info info) {
  std::size_t count = 1;
  napi_value argument = nullptr;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  std::int32_t number = 0;
  napi_get_value_int32(env, argument, &number);
  InterruptWorkerThreads(number);
  return nullptr;
}

// endDescendants(): a Worker's `exit` event.
napi_value EndDescendants(napi_env env, napi_callback_info) {
  EnvData& data = *DataOf(env);
  if (data.descendants_end == nullptr) {
    data.descendants_end = std::make_unique<DescendantsEnd>(data.thread_number);
  }
  return nullptr;
}

// serve(): what waits for this thread; a loop without other work would end before.
napi_value Serve(napi_env env, napi_callback_info) {
  EnvData& data = *DataOf(env);
  if (data.started()) data.node_host->Serve();
  return nullptr;
}

napi_value RuntimeVersion(napi_env env, napi_callback_info) {
  const std::string version = interp::RuntimeVersion();
  napi_value text = nullptr;
  napi_create_string_utf8(env, version.data(), version.size(), &text);
  return text;
}

}  // namespace

bool AddLifecycle(napi_env env, napi_value exports) {
  const struct {
    const char* name;
    napi_callback function;
  } functions[] = {
      {"setup", Setup},
      {"start", Start},
      {"checkSandbox", CheckSandbox},
      {"loop", GetLoop},
      {"close", Close},
      {"exit", Exit},
      {"interrupt", Interrupt},
      {"serve", Serve},
      {"runtimeVersion", RuntimeVersion},
      {"endDescendants", EndDescendants},
  };
  for (const auto& [name, function] : functions) {
    napi_value value = nullptr;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value) != napi_ok ||
        napi_set_named_property(env, exports, name, value) != napi_ok) {
      return false;
    }
  }
  return true;
}

}  // namespace coloop::bridge
