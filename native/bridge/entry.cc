// Entering Python from JavaScript.
#include "bridge/entry.h"

#include <node_api.h>

#include "base/stack.h"
#include "bridge/env_data.h"
#include "bridge/exporter.h"
#include "bridge/js_host.h"
#include "bridge/throw.h"
#include "interp/object.h"
#include "loop/loop.h"

namespace coloop::bridge {

Entry::Outcome::~Outcome() {
  if (failed) ThrowLast(data, error);
}

Entry::Entry(EnvData& data)
    : data_(data),
      outcome_(data),
      exporter_(data, acquire_.gil()),
      was_synchronous_(data.in_synchronous_call) {
  if (!acquire_.ok()) {
    Fail("ERR_COLOOP_EXITED",
         "Python cannot be called: the process is exiting or Python.start() has not run");
  } else if (!data.started()) {
    Fail("ERR_COLOOP_CLOSED", "Python is closed in this environment; call Python.start() again");
  } else if (!base::HasPythonStack()) {
    Fail("ERR_COLOOP_STACK", "too little of this thread's stack is left to run Python");
  } else {
    ok_ = true;
    data_.in_synchronous_call = true;
    run_.Begin(*data.lane);
  }
}

Entry::~Entry() {
  if (ok_) {
    if (outcome_.failed) {
      (void)run_.End();  // an interrupt besides changes nothing
    } else if (!EndRun()) {
      Fail();
    }
    data_.in_synchronous_call = was_synchronous_;
    const bool outermost = !was_synchronous_ && data_.javascript_calls == 0;
    if (outermost && data_.started()) {
      if (data_.loop->HasReady()) data_.loop->Drain(acquire_.gil());
      if (data_.proxies.has_collected()) data_.proxies.DropCollected(acquire_.gil());
      if (data_.js_host->has_many_released()) data_.js_host->DropReleased(acquire_.gil());
    }
  }
}

bool Entry::EndRun() {
  if (!run_.End()) return true;
  interp::Raise(acquire_.gil(), "KeyboardInterrupt", "");
  return false;
}

napi_value Entry::Fail() {
  outcome_.failed = true;
  outcome_.error = exporter_.FailureAsError();
  return nullptr;
}

napi_value Entry::Fail(const std::string& code, const std::string& message) {
  outcome_.failed = true;
  outcome_.error = OwnError(data_, code, message);
  return nullptr;
}

}  // namespace coloop::bridge
