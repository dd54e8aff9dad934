// The functions of src/ that native code calls, by number: one array, handed over by `setup`.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace coloop::bridge {

// The order is that of `helpers` in src/binding.ts.
enum class Helper : std::uint32_t {
  kMakeProxy,        // (handle, abilities) -> proxy
  kMakeError,        // (description of a Python exception) -> Error
  kMakeOwnError,     // (code, message) -> ColoopError
  kPerform,          // (operation, id, scope id, ...arguments) -> primitive or encoded node
  kEncodeThrown,     // (thrown value) -> encoded node
  kHostObject,       // (id) -> the JavaScript object
  kReleaseHosts,     // (ids) -> undefined
  kNewMap,           // () -> Map
  kNewSet,           // () -> Set
  kFill,             // (map or set, contents) -> undefined
  kNumberArray,      // (Float64Array) -> number[]
  kSetOwn,           // (object, key, value) -> undefined
  kOpenScope,        // () -> id of an AsyncResource for the call that is running
  kNewBuffer,        // (length) -> ArrayBuffer
  kIgnoreRejection,  // (promise) -> undefined
  kCount,
};

inline constexpr std::size_t kHelperCount = static_cast<std::size_t>(Helper::kCount);

}  // namespace coloop::bridge
