// The table of events.def: what can be refused, in which group, why. Standard library only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"

namespace coloop::sandbox {

enum class Group : std::uint8_t {
  kSubprocess,
  kSignals,
  kCtypes,
  kCffi,
  kNetwork,
  kSockets,
  kFilesystem,
  kImport,
  kCode,
  kIntrospection,
  kDebug,
  kThreads,
  kProcess,
};

inline constexpr std::array<std::string_view, 13> kGroupNames = {
    "subprocess", "signals", "ctypes",        "cffi",  "network", "sockets", "filesystem",
    "import",     "code",    "introspection", "debug", "threads", "process",
};

enum class Verdict : std::uint8_t { kAllow, kDeny };

struct Event {
  std::string_view name;
  Group group;
  Verdict standard;  // the verdict without options
  Verdict strict;    // that of the preset "strict"
  std::string_view reason;
};

inline constexpr auto kEvents = std::to_array<Event>({
#define COLOOP_EVENT(name, group, standard, strict, reason) \
  Event{name, Group::group, Verdict::standard, Verdict::strict, reason},
#include "sandbox/events.def"
#undef COLOOP_EVENT
});

using EventId = std::uint16_t;  // index into kEvents
inline constexpr EventId kUnknownEvent = 0xffff;

// The id of an event the code names: a misspelt name does not compile.
consteval EventId IdOf(std::string_view name) {
  for (std::size_t i = 0; i < kEvents.size(); ++i) {
    if (kEvents[i].name == name) return static_cast<EventId>(i);
  }
  COLOOP_UNREACHABLE();
}

}  // namespace coloop::sandbox
