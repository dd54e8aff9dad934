// Rules over arguments: which paths, hosts, modules, libraries and symbols. POSIX only; each
// question is answered for the calling thread's interpreter.
//
// A rule has lists of what it allows and denies. Each tightening adds a layer of rules, and what
// every layer allows is allowed: so more rules never allow more. Layers are published whole and
// live as long as the process, so that the hook reads them without a lock; judging allocates
// nothing.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sandbox/events.h"
#include "sandbox/path.h"

namespace coloop::sandbox {

enum class Rule : std::uint8_t {
  kRead,
  kWrite,
  kConnect,
  kBind,
  kResolve,
  kImport,
  kLoad,
  kSymbol,
};

inline constexpr std::array<std::string_view, 8> kRuleNames = {
    "read", "write", "connect", "bind", "resolve", "import", "load", "symbol",
};

// What a rule looks at in an event.
struct RuleUse {
  EventId event;
  Rule rule;
  int argument;
  int folder_argument;  // negative: none
  bool link;            // judge the link at a path's end,
  bool target;          // what it points to, or both
};

[[nodiscard]] std::span<const RuleUse> RuleUses();

class RuleLayer;
struct RuleLayerDeleter {
  void operator()(RuleLayer* layer) const;
};
using OwnedRuleLayer = std::unique_ptr<RuleLayer, RuleLayerDeleter>;

// Of lines such as "read allow /data"; "read allow" alone allows nothing. Null without any line;
// an error (ERR_COLOOP_POLICY) says which line is wrong.
[[nodiscard]] base::Result<OwnedRuleLayer> ParseRules(const std::vector<std::string>& lines);

// What Python itself needs to read: its library. Before the first AddRules that counts.
void SetLibraryPaths(const std::vector<std::string>& paths);

// From now on this layer counts as well. Callers take turns.
void AddRules(OwnedRuleLayer layer);

// Takes all layers back, for tests.
void ClearRules();

// Those of the calling thread's interpreter, which count besides. In place of what it had, while no
// other thread runs in it.
void SetOwnRules(OwnedRuleLayer layer);

// True if some layer has such a rule.
[[nodiscard]] bool Restricted(Rule rule);

[[nodiscard]] bool PathAllowed(Rule rule, const char* path, int folder, Ending ending);
[[nodiscard]] bool HostAllowed(Rule rule, const char* host, int port);
[[nodiscard]] bool NameAllowed(Rule rule, const char* name);

}  // namespace coloop::sandbox
