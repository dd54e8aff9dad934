// Python objects that stand for JavaScript values: `_coloop.JsRef` and, callable,
// `_coloop.JsFunctionRef`.
//
// One live Python object for each JavaScript object (`is` works): HostLink::entries maps an id to
// the object that is alive. All of it is guarded by the GIL. The link outlives its environment:
// `host` is null once that is gone, and use raises.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "base/host.h"
#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::interp {

struct HostLink {
  struct Entry {
    _object* alive = nullptr;    // borrowed; cleared when it is deallocated
    std::uint32_t wrappers = 0;  // made and not yet reported as released to the environment
  };
  std::shared_ptr<base::Host> host;
  std::unordered_map<std::uint32_t, Entry> entries;
};

inline constexpr std::size_t kHostKinds = 6;  // convert::HostKind

// The object that stands for `id`, a new one or the live one. Null with an exception set.
[[nodiscard]] Owned MakeJsRef(const Gil& gil, const std::shared_ptr<HostLink>& link,
                              std::uint32_t id, std::size_t kind);

// If `object` stands for a value of this environment, true and its id.
[[nodiscard]] bool IsJsRefOf(_object* object, const HostLink& link, std::uint32_t* id);

// The object that stands for an async context (an AsyncResource) while a Task or a callback may
// still call JavaScript in it. Null with an exception set.
[[nodiscard]] Owned MakeScope(const Gil& gil, const std::shared_ptr<HostLink>& link,
                              std::uint32_t id);
// The id of such an object of this environment; 0 for anything else.
[[nodiscard]] std::uint32_t ScopeId(_object* object, const HostLink& link);

// The exception (a JsError) for a JavaScript error, given the object that stands for it. Null with
// an exception set.
[[nodiscard]] Owned MakeJsError(const Gil& gil, _object* error_ref);

// An exporter of the buffer protocol over `data`, kept alive by `owner` (a JsRef).
[[nodiscard]] Owned MakeJsBuffer(const Gil& gil, Owned owner, void* data, std::size_t length,
                                 const char* format, std::size_t item_size);

// `object` wrapped so that conversion passes it as a proxy, never copied; and back (null if none).
[[nodiscard]] _object* UnwrapOpaque(_object* object);

// interp::ModulePart each: the types above, `_set_host_types` and `opaque`.
[[nodiscard]] bool AddJsRefToModule(const Gil& gil, _object* module);
[[nodiscard]] bool AddJsBufferToModule(const Gil& gil, _object* module);

}  // namespace coloop::interp
