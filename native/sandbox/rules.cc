#include "sandbox/rules.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "interp/per_interpreter.h"
#include "sandbox/address.h"
#include "sandbox/events.h"
#include "sandbox/path.h"

namespace coloop::sandbox {

namespace {

constexpr int kNone = -1;
enum class Judged { kTarget, kLink, kEither };

constexpr RuleUse Use(EventId event, Rule rule, int argument, int folder, Judged judged) {
  return {event, rule, argument, folder, judged != Judged::kTarget, judged != Judged::kLink};
}

constexpr auto kUses = std::to_array<RuleUse>({
#define COLOOP_RULE(event, rule, argument, folder, judged) \
  Use(IdOf(event), Rule::rule, argument, folder, Judged::judged),
#include "sandbox/rules.def"
#undef COLOOP_RULE
});

struct Patterns {
  std::vector<std::string> texts;  // paths, names or globs
  std::vector<HostPattern> hosts;
};

struct Lists {
  bool restricted = false;  // there is a list of what is allowed
  bool present = false;
  Patterns allow;
  Patterns deny;
};

constexpr std::size_t kRuleCount = kRuleNames.size();

}  // namespace

class RuleLayer {
 public:
  std::array<Lists, kRuleCount> rules;
  const RuleLayer* next = nullptr;
};

namespace {

std::atomic<const RuleLayer*> layers{nullptr};
std::vector<std::string> library_paths;  // resolved; written before a layer counts

struct OwnRules {
  const RuleLayer* layer = nullptr;  // guarded by the interpreter's GIL
};
interp::PerInterpreter<OwnRules> own_rules;
std::atomic<bool> some_have_own{false};

const RuleLayer* OwnLayer() {
  if (!some_have_own.load(std::memory_order_relaxed)) return nullptr;
  const OwnRules* rules = own_rules.Known();
  return rules != nullptr ? rules->layer : nullptr;
}

bool IsHostRule(Rule rule) { return rule == Rule::kConnect || rule == Rule::kBind; }

bool AddPath(const std::string& text, Patterns& patterns) {
  PathBuffer resolved;
  if (!text.starts_with('/') || !ResolvePath(text.c_str(), -1, Ending::kTarget, resolved)) {
    return false;
  }
  patterns.texts.emplace_back(resolved);
  return true;
}

// As `import` tells it: names with dots between them.
bool IsModuleName(std::string_view text) {
  return text.find_first_of("*?[]/\\ ") == std::string_view::npos && !text.starts_with('.') &&
         !text.ends_with('.') && text.find("..") == std::string_view::npos;
}

bool AddPattern(Rule rule, const std::string& text, Patterns& patterns) {
  const bool local = text.starts_with('/') || text.starts_with('@');
  if (IsHostRule(rule) && text.starts_with('@')) {
    patterns.texts.push_back(text);
    return true;
  }
  if (rule == Rule::kRead || rule == Rule::kWrite || (IsHostRule(rule) && local)) {
    return text.find('*') == std::string::npos && AddPath(text, patterns);
  }
  if (rule == Rule::kImport && !IsModuleName(text)) return false;
  if (IsHostRule(rule) || rule == Rule::kResolve) return ParseHostPattern(text, patterns.hosts);
  patterns.texts.push_back(text);
  return true;
}

base::Error WrongLine(const std::string& line, const char* what) {
  return base::Error{"ERR_COLOOP_POLICY", "the sandbox rule \"" + line + "\" " + what};
}

const char* Expected(Rule rule) {
  if (rule == Rule::kRead || rule == Rule::kWrite) {
    return "needs the path of a file, or of a folder for all that is below it: no \"*\", no \"~\"";
  }
  if (rule == Rule::kImport) {
    return "needs a module's name, which covers its submodules: \"xml\", not \"xml.*\"";
  }
  if (IsHostRule(rule)) {
    return "needs a host, an address or a network such as 10.0.0.0/8, with :port or without, or a "
           "Unix socket's path or @name without \"*\"";
  }
  return "needs a host, an address or a network such as 10.0.0.0/8";
}

// Calls `judge` for each layer that has the rule, until one says no.
template <typename Judge>
bool EachLayer(Rule rule, Judge judge) {
  const RuleLayer* layer = layers.load(std::memory_order_acquire);
  for (const RuleLayer* first : {layer, OwnLayer()}) {
    for (layer = first; layer != nullptr; layer = layer->next) {
      const Lists& lists = layer->rules[static_cast<std::size_t>(rule)];
      if (lists.present && !judge(lists)) return false;
    }
  }
  return true;
}

// What Python itself needs to read stays readable.
void AllowLibrary(RuleLayer& layer) {
  std::vector<std::string>& readable =
      layer.rules[static_cast<std::size_t>(Rule::kRead)].allow.texts;
  readable.insert(readable.end(), library_paths.begin(), library_paths.end());
}

template <typename Matches>
bool Judge(const Lists& lists, Matches matches) {
  return !matches(lists.deny) && (!lists.restricted || matches(lists.allow));
}

bool MatchesName(Rule rule, const std::string& pattern, const char* name) {
  if (rule != Rule::kImport) return fnmatch(pattern.c_str(), name, 0) == 0;
  const std::size_t length = pattern.size();
  const bool begins = std::strncmp(name, pattern.c_str(), length) == 0;
  return begins && (name[length] == '\0' || name[length] == '.');
}

bool IsAscii(const char* text) {
  return std::all_of(text, text + std::strlen(text),
                     [](char letter) { return static_cast<signed char>(letter) > ' '; });
}

}  // namespace

std::span<const RuleUse> RuleUses() { return kUses; }

void RuleLayerDeleter::operator()(RuleLayer* layer) const { delete layer; }

base::Result<OwnedRuleLayer> ParseRules(const std::vector<std::string>& lines) {
  if (lines.empty()) return OwnedRuleLayer();
  OwnedRuleLayer layer(new RuleLayer());
  for (const std::string& line : lines) {
    const std::size_t first = line.find(' ');
    const std::size_t second = first == std::string::npos ? first : line.find(' ', first + 1);
    const auto* const found =
        std::find(kRuleNames.begin(), kRuleNames.end(), std::string_view(line).substr(0, first));
    if (found == kRuleNames.end() || first == std::string::npos) {
      return WrongLine(line, "names no rule");
    }
    const std::string_view way = std::string_view(line).substr(first + 1, second - first - 1);
    if (way != "allow" && way != "deny") return WrongLine(line, "neither allows nor denies");
    const auto rule = static_cast<Rule>(std::distance(kRuleNames.begin(), found));
    Lists& lists = layer->rules[static_cast<std::size_t>(rule)];
    lists.present = true;
    if (way == "allow") lists.restricted = true;
    if (second == std::string::npos) continue;
    const std::string pattern = line.substr(second + 1);
    const bool has_nul = pattern.find('\0') != std::string::npos;
    if (has_nul || !AddPattern(rule, pattern, way == "allow" ? lists.allow : lists.deny)) {
      return WrongLine(line, Expected(rule));
    }
  }
  return layer;
}

void SetLibraryPaths(const std::vector<std::string>& paths) {
  library_paths.clear();
  Patterns patterns;
  for (const std::string& path : paths) {
    if (AddPath(path, patterns)) library_paths.push_back(patterns.texts.back());
  }
}

void AddRules(OwnedRuleLayer layer) {
  if (!layer) return;
  AllowLibrary(*layer);
  layer->next = layers.load(std::memory_order_relaxed);
  layers.store(layer.release(), std::memory_order_release);
}

void ClearRules() {
  const RuleLayer* layer = layers.exchange(nullptr);
  while (layer != nullptr) delete std::exchange(layer, layer->next);
}

void SetOwnRules(OwnedRuleLayer layer) {
  if (layer) AllowLibrary(*layer);
  const RuleLayer* before = std::exchange(own_rules->layer, layer.release());
  delete before;
  if (own_rules->layer != nullptr) some_have_own.store(true);
}

bool Restricted(Rule rule) {
  return !EachLayer(rule, [](const Lists&) { return false; });
}

bool PathAllowed(Rule rule, const char* path, int folder, Ending ending) {
  PathBuffer resolved;
  if (!ResolvePath(path, folder, ending, resolved)) return false;
  const auto within = [&](const std::string& entry) { return IsWithin(resolved, entry.c_str()); };
  // What is denied must not be moved with the folder that it is in.
  const auto refused = [&](const std::string& entry) {
    return within(entry) || (ending == Ending::kLink && IsWithin(entry.c_str(), resolved));
  };
  return EachLayer(rule, [&](const Lists& lists) {
    const std::vector<std::string>& deny = lists.deny.texts;
    const std::vector<std::string>& allow = lists.allow.texts;
    return std::none_of(deny.begin(), deny.end(), refused) &&
           (!lists.restricted || std::any_of(allow.begin(), allow.end(), within));
  });
}

bool HostAllowed(Rule rule, const char* host, int port) {
  std::optional<Address> address = ParseAddress(host);
  if (address && rule == Rule::kConnect) address = LoopbackIfUnspecified(*address);
  const auto matches = [&](const Patterns& patterns) {
    return std::any_of(patterns.hosts.begin(), patterns.hosts.end(), [&](const HostPattern& it) {
      return address ? it.MatchesAddress(*address, port) : it.MatchesName(host, port);
    });
  };
  return EachLayer(rule, [&](const Lists& lists) {
    // Where a name leads is not known here, nor what IDNA makes of it.
    const bool unclear = !address && (rule == Rule::kResolve ? !IsAscii(host) : true);
    return (!unclear || lists.deny.hosts.empty()) && (!unclear || rule != Rule::kResolve) &&
           Judge(lists, matches);
  });
}

bool NameAllowed(Rule rule, const char* name) {
  const auto matches = [&](const Patterns& patterns) {
    return std::any_of(patterns.texts.begin(), patterns.texts.end(), [&](const std::string& it) {
      return IsHostRule(rule) ? it == name : MatchesName(rule, it, name);
    });
  };
  return EachLayer(rule, [&](const Lists& lists) { return Judge(lists, matches); });
}

}  // namespace coloop::sandbox
