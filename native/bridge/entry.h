// One call from JavaScript into Python: GIL, nesting, and what is due when the outermost call ends.
#pragma once

#include <cstdint>
#include <string>

#include "bridge/exporter.h"
#include "interp/gil.h"
#include "interp/run.h"

struct napi_env__;
struct napi_value__;

namespace coloop::bridge {

class EnvData;

// Its end runs the loop's ready callbacks if the call was the outermost one, drops what was
// released, gives the GIL back, and only then throws the error of the call, since JavaScript may
// run before.
class Entry {
 public:
  explicit Entry(EnvData& data);
  ~Entry();
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  // False when Python cannot be entered (not started, closed, exiting): the error is set.
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] const interp::Gil& gil() const { return acquire_.gil(); }
  [[nodiscard]] Exporter& exporter() { return exporter_; }
  // What is called has returned: what its result starts is no part of the call. False with an
  // exception set if it was interrupted before and did not notice.
  [[nodiscard]] bool EndRun();
  [[nodiscard]] std::uint64_t run() const { return run_.number(); }

  // Each sets the error that is thrown at the end and returns null.
  napi_value__* Fail();  // from the pending Python or JavaScript exception
  napi_value__* Fail(const std::string& code, const std::string& message);

 private:
  // Throws the error when everything else of the call has ended.
  struct Outcome {
    explicit Outcome(EnvData& environment) : data(environment) {}
    ~Outcome();
    Outcome(const Outcome&) = delete;
    Outcome& operator=(const Outcome&) = delete;

    EnvData& data;
    napi_value__* error = nullptr;
    bool failed = false;
  };

  EnvData& data_;
  Outcome outcome_;
  const interp::GilAcquire acquire_;
  Exporter exporter_;
  const bool was_synchronous_;
  interp::Run run_;
  bool ok_ = false;
};

}  // namespace coloop::bridge
