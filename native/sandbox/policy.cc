// Verdicts, and the hash table that finds an event by its name.
#include "sandbox/policy.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/result.h"
#include "interp/per_interpreter.h"
#include "sandbox/events.h"
#include "sandbox/rules.h"

namespace coloop::sandbox {

namespace {

constexpr std::size_t kCount = kEvents.size();
constexpr std::size_t kSlots = std::bit_ceil(kCount * 4);  // sparse: most look-ups end at the first

// Eight bytes at once, as they lie in memory.
constexpr std::uint64_t EightBytes(const char* text) {
  std::uint64_t bytes = 0;
  if (!std::is_constant_evaluated()) {
    std::memcpy(&bytes, text, sizeof bytes);
    return bytes;
  }
  for (int i = 0; i < 8; ++i) {
    const int place = std::endian::native == std::endian::little ? i : 7 - i;
    bytes |= std::uint64_t{static_cast<unsigned char>(text[i])} << (8 * place);
  }
  return bytes;
}

// Its length, its first and its last eight bytes tell events apart well enough; a loop over all of
// the name would cost more than the rest of the hook.
constexpr std::size_t SlotOf(const char* name, std::size_t length) {
  std::uint64_t head = 0;
  std::uint64_t tail = 0;
  if (length >= 8) {
    head = EightBytes(name);
    tail = EightBytes(name + length - 8);
  } else {
    for (std::size_t i = 0; i < length; ++i) {
      head = head << 8 | static_cast<unsigned char>(name[i]);
    }
  }
  const std::uint64_t mixed = (head ^ (tail * 0x9e3779b97f4a7c15U) ^ length) * 0xd6e8feb86659fd93U;
  return static_cast<std::size_t>(mixed >> 32) % kSlots;
}

constexpr std::array<EventId, kSlots> MakeIndex() {
  std::array<EventId, kSlots> index{};
  index.fill(kUnknownEvent);
  for (std::size_t i = 0; i < kCount; ++i) {
    std::size_t slot = SlotOf(kEvents[i].name.data(), kEvents[i].name.size());
    while (index[slot] != kUnknownEvent) slot = (slot + 1) % kSlots;
    index[slot] = static_cast<EventId>(i);
  }
  return index;
}

constexpr std::array<EventId, kSlots> kIndex = MakeIndex();

std::array<std::atomic<Verdict>, kCount> verdicts;
std::array<std::atomic<Action>, kCount> actions;
std::array<std::atomic<bool>, kCount> watched;
std::atomic<bool> routes_children{false};
std::mutex change_mutex;       // serialises all changes
std::vector<EventId> waiting;  // guarded by change_mutex: denied as soon as Seal is called
OwnedRuleLayer waiting_rules;  // guarded by change_mutex, too
Options installed;             // guarded by change_mutex

struct Own {
  std::array<bool, kCount> denied{};
  Options options;
};
interp::PerInterpreter<Own> own;  // guarded by the interpreter's GIL
std::atomic<bool> some_have_own{false};

// Null where there is none.
const Own* OwnPolicy() {
  return some_have_own.load(std::memory_order_relaxed) ? own.Known() : nullptr;
}

bool DeniedForAll(EventId event) {
  return verdicts[event].load(std::memory_order_relaxed) == Verdict::kDeny;
}

// These pass or not by what their arguments say, whose own verdict is that of another event.
bool NeedsInspection(EventId event, bool (*denied)(EventId)) {
  switch (event) {
    case IdOf("import"):
      return true;  // the extension file of _posixsubprocess stays out even where fork_exec is
                    // allowed
    case IdOf("open"):
      return denied(IdOf("open/write")) || Restricted(Rule::kRead) || Restricted(Rule::kWrite) ||
             Watched(IdOf("open/write"));
    case IdOf("ctypes.dlsym"):
    case IdOf("ctypes.dlsym/handle"):
      return denied(IdOf("ctypes.dlsym/process")) || denied(IdOf("ctypes.dlsym/signal"));
    default:
      return false;
  }
}

void UpdateActions() {
  for (std::size_t i = 0; i < kCount; ++i) {
    const auto event = static_cast<EventId>(i);
    const bool inspected = NeedsInspection(event, DeniedForAll) || Watched(event);
    Action action = inspected ? Action::kInspect : Action::kPass;
    if (DeniedForAll(event)) action = Action::kRefuse;
    actions[i].store(action, std::memory_order_relaxed);
  }
  for (const RuleUse& use : RuleUses()) {
    if (!Restricted(use.rule) || DeniedForAll(use.event)) continue;
    actions[use.event].store(Action::kInspect, std::memory_order_relaxed);
  }
}

// Where what passes by the process's policy may not pass by the interpreter's.
[[gnu::noinline]] Action StricterAction(EventId event, const Own& policy) {
  if (policy.denied[event]) return Action::kRefuse;
  if (NeedsInspection(event, Denied)) return Action::kInspect;
  const std::span<const RuleUse> uses = RuleUses();
  const bool ruled = std::any_of(uses.begin(), uses.end(), [event](const RuleUse& use) {
    return use.event == event && Restricted(use.rule);
  });
  return ruled ? Action::kInspect : Action::kPass;
}

std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row[b.size()];
}

base::Error UnknownName(const std::string& name) {
  std::vector<std::pair<std::size_t, std::string_view>> near;
  near.reserve(kGroupNames.size() + kCount);
  for (const std::string_view group : kGroupNames)
    near.emplace_back(EditDistance(name, group), group);
  for (const Event& event : kEvents) near.emplace_back(EditDistance(name, event.name), event.name);
  std::sort(near.begin(), near.end());
  std::string message = "the sandbox knows no event or group \"" + name + "\"; near it are: ";
  for (std::size_t i = 0; i < 3; ++i) {
    if (i > 0) message += ", ";
    message += near[i].second;
  }
  message += " (docs/sandbox.md lists all)";
  return base::Error{"ERR_COLOOP_POLICY", message};
}

std::vector<std::string> Sorted(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

struct Selection {
  std::array<bool, kCount> by_name{};
  std::array<bool, kCount> by_group{};
};

base::Result<Selection> Select(const std::vector<std::string>& names) {
  Selection selection;
  for (const std::string& name : names) {
    const auto* const group = std::find(kGroupNames.begin(), kGroupNames.end(), name);
    if (group == kGroupNames.end()) {
      const bool has_nul = name.find('\0') != std::string::npos;
      const EventId event = has_nul ? kUnknownEvent : FindEvent(name.c_str());
      if (event == kUnknownEvent) return UnknownName(name);
      selection.by_name[event] = true;
      continue;
    }
    for (std::size_t i = 0; i < kCount; ++i) {
      const auto own_group = static_cast<std::size_t>(kEvents[i].group);
      if (kGroupNames[own_group] == name) selection.by_group[i] = true;
    }
  }
  return selection;
}

bool Same(const Options& one, const Options& other) { return KeyOf(one) == KeyOf(other); }

// What subprocess raises on its way to a child of Node's.
bool IsRouted(EventId event) {
  return event == IdOf("subprocess.Popen") || event == IdOf("_posixsubprocess.fork_exec");
}

}  // namespace

base::Result<void> SetPolicy(const Options& options) {
  base::Result<Selection> allow = Select(options.allow);
  if (!allow.ok()) return allow.error();
  base::Result<Selection> deny = Select(options.deny);
  if (!deny.ok()) return deny.error();
  base::Result<Selection> watch = Select(options.watch);
  if (!watch.ok()) return watch.error();
  base::Result<OwnedRuleLayer> rules = ParseRules(options.rules);
  if (!rules.ok()) return rules.error();
  const Selection& allowed = allow.value();
  const Selection& denied = deny.value();
  const std::lock_guard<std::mutex> lock(change_mutex);
  waiting.clear();
  ClearRules();
  waiting_rules = std::move(rules.value());
  installed = options;
  routes_children.store(options.children);
  for (std::size_t i = 0; i < kCount; ++i) {
    watched[i].store(watch.value().by_name[i] || watch.value().by_group[i]);
    Verdict verdict = options.strict ? kEvents[i].strict : kEvents[i].standard;
    if (options.children && IsRouted(static_cast<EventId>(i))) verdict = Verdict::kAllow;
    if (allowed.by_group[i]) verdict = Verdict::kAllow;
    if (denied.by_group[i]) verdict = Verdict::kDeny;
    if (allowed.by_name[i]) verdict = Verdict::kAllow;
    if (denied.by_name[i]) verdict = Verdict::kDeny;
    // Python's own start opens files, imports, compiles: what its user denies besides comes later.
    const bool later = verdict == Verdict::kDeny && kEvents[i].standard == Verdict::kAllow;
    if (later) waiting.push_back(static_cast<EventId>(i));
    verdicts[i].store(later ? Verdict::kAllow : verdict, std::memory_order_relaxed);
  }
  UpdateActions();
  return {};
}

base::Result<void> CheckSame(const Options& options) {
  const std::lock_guard<std::mutex> lock(change_mutex);
  const bool routes = installed.children || !options.children;
  if (routes && (Same(options, Options{}) || Same(options, installed))) return {};
  return base::Error{
      "ERR_COLOOP_POLICY",
      "the process has one sandbox policy, set by its first start: start Python here "
      "with the same sandbox options or with none"};
}

void SealPolicy() {
  const std::lock_guard<std::mutex> lock(change_mutex);
  for (const EventId event : waiting) {
    verdicts[event].store(Verdict::kDeny, std::memory_order_relaxed);
  }
  waiting.clear();
  AddRules(std::move(waiting_rules));
  UpdateActions();
}

base::Result<void> TightenPolicy(const Options& options) {
  base::Result<Selection> selection = Select(options.deny);
  if (!selection.ok()) return selection.error();
  base::Result<OwnedRuleLayer> rules = ParseRules(options.rules);
  if (!rules.ok()) return rules.error();
  const Selection& denied = selection.value();
  const std::lock_guard<std::mutex> lock(change_mutex);
  AddRules(std::move(rules.value()));
  for (std::size_t i = 0; i < kCount; ++i) {
    const bool strict = options.strict && kEvents[i].strict == Verdict::kDeny;
    if (strict || denied.by_name[i] || denied.by_group[i]) {
      verdicts[i].store(Verdict::kDeny, std::memory_order_relaxed);
    }
  }
  UpdateActions();
  return {};
}

base::Result<OwnChoice> ParseOwn(const Options& options) {
  if (!options.allow.empty() || !options.watch.empty()) {
    return base::Error{"ERR_COLOOP_POLICY",
                       "the sandbox of a Worker's own interpreter takes `preset`, `deny` and "
                       "`rules`: what is allowed or watched is said at the process's first start"};
  }
  base::Result<Selection> deny = Select(options.deny);
  if (!deny.ok()) return deny.error();
  base::Result<OwnedRuleLayer> rules = ParseRules(options.rules);
  if (!rules.ok()) return rules.error();
  OwnChoice choice{options, {}, std::move(rules.value())};
  const Selection& denied = deny.value();
  for (std::size_t i = 0; i < kCount; ++i) {
    const bool strict = options.strict && kEvents[i].strict == Verdict::kDeny;
    if (strict || denied.by_name[i] || denied.by_group[i]) {
      choice.denied.push_back(static_cast<EventId>(i));
    }
  }
  return choice;
}

void SetOwn(OwnChoice choice) {
  const bool any = !choice.denied.empty() || choice.rules != nullptr;
  SetOwnRules(std::move(choice.rules));
  own->denied.fill(false);
  for (const EventId event : choice.denied) own->denied[event] = true;
  // An interpreter that it made, or that it runs code in, has another policy.
  own->denied[IdOf("cpython.PyInterpreterState_New")] = any;
  own->options = std::move(choice.options);
  if (any) some_have_own.store(true);
}

// But for `children`.
std::string KeyOf(const Options& options) {
  std::string key = options.strict ? "strict" : "";
  for (const auto* list : {&options.allow, &options.deny, &options.rules, &options.watch}) {
    key += ';';
    for (const std::string& text : Sorted(*list)) {
      key += std::to_string(text.size()) + ':' + text;
    }
  }
  return key;
}

base::Result<void> CheckSameOwn(const Options& options) {
  if (Same(options, Options{}) || Same(options, own->options)) return {};
  return base::Error{"ERR_COLOOP_POLICY",
                     "the sandbox of this Worker's interpreter was set by its first start: start "
                     "Python again with the same sandbox options or with none"};
}

EventId FindEvent(const char* name) {
  const std::size_t length = std::strlen(name);
  for (std::size_t slot = SlotOf(name, length);; slot = (slot + 1) % kSlots) {
    const EventId event = kIndex[slot];
    if (event == kUnknownEvent) return kUnknownEvent;
    const std::string_view candidate = kEvents[event].name;
    if (candidate.size() == length && std::memcmp(candidate.data(), name, length) == 0) {
      return event;
    }
  }
}

bool RoutesChildren() { return routes_children.load(std::memory_order_relaxed); }

Action ActionOf(EventId event) {
  const Action action = actions[event].load(std::memory_order_relaxed);
  const Own* policy = OwnPolicy();
  if (policy == nullptr || action == Action::kRefuse) [[likely]]
    return action;
  const Action stricter = StricterAction(event, *policy);
  return stricter == Action::kPass ? action : stricter;
}

bool Watched(EventId event) { return watched[event].load(std::memory_order_relaxed); }

bool Denied(EventId event) {
  if (DeniedForAll(event)) return true;
  const Own* policy = OwnPolicy();
  return policy != nullptr && policy->denied[event];
}

}  // namespace coloop::sandbox
