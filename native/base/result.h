// Error and Result<T>: how native functions fail. The code is the stable `ERR_COLOOP_…` code that
// JavaScript sees; a pending Python exception is carried by interp, not here.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "base/check.h"

namespace coloop::base {

struct Error {
  std::string code;
  std::string message;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): `return value;` and `return Error{…};`
  Result(T value) : value_(std::move(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(Error error) : error_(std::move(error)) {}

  [[nodiscard]] bool ok() const { return value_.has_value(); }
  [[nodiscard]] T& value() {
    COLOOP_CHECK(value_.has_value());
    return *value_;
  }
  [[nodiscard]] const Error& error() const {
    COLOOP_CHECK(error_.has_value());
    return *error_;
  }

 private:
  std::optional<T> value_;
  std::optional<Error> error_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(Error error) : error_(std::move(error)) {}

  [[nodiscard]] bool ok() const { return !error_.has_value(); }
  [[nodiscard]] const Error& error() const {
    COLOOP_CHECK(error_.has_value());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

}  // namespace coloop::base
