// sandbox: names to verdicts, without Python.
#include "sandbox/policy.h"

#include <cstddef>
#include <string>

#include "policy.h"
#include "sandbox/ctypes_symbols.h"
#include "sandbox/events.h"
#include "test.h"

namespace {

using coloop::base::Result;
using coloop::sandbox::Action;
using coloop::sandbox::ActionOf;
using coloop::sandbox::CheckSame;
using coloop::sandbox::Denied;
using coloop::sandbox::EventId;
using coloop::sandbox::FindEvent;
using coloop::sandbox::IdOf;
using coloop::sandbox::kEvents;
using coloop::sandbox::kUnknownEvent;
using coloop::sandbox::Options;
using coloop::sandbox::RoutesChildren;
using coloop::sandbox::SealPolicy;
using coloop::sandbox::SetPolicy;
using coloop::sandbox::TightenPolicy;
using coloop::sandbox::Verdict;
using coloop::test::Policy;

TEST(policy_finds_every_event_and_nothing_else) {
  for (std::size_t i = 0; i < kEvents.size(); ++i) {
    const std::string name(kEvents[i].name);
    EXPECT(FindEvent(name.c_str()) == i);
    EXPECT(FindEvent((name + "x").c_str()) == kUnknownEvent);
    std::string changed = name;
    changed[changed.size() / 2] ^= 1;
    EXPECT(FindEvent(changed.c_str()) == kUnknownEvent);
  }
  EXPECT(FindEvent("") == kUnknownEvent);
  EXPECT(FindEvent(std::string(10000, 'o').c_str()) == kUnknownEvent);
}

TEST(policy_routes_children_unless_they_are_denied) {
  const EventId popen = IdOf("subprocess.Popen");
  const EventId fork_exec = IdOf("_posixsubprocess.fork_exec");
  {
    const Policy policy(Options{.allow = {}, .deny = {}, .strict = true, .children = true});
    EXPECT(RoutesChildren());
    EXPECT(!Denied(popen) && !Denied(fork_exec));
    EXPECT(Denied(IdOf("os.fork")) && Denied(IdOf("os.posix_spawn")) && Denied(IdOf("os.system")));
    EXPECT(CheckSame(Options{}).ok());
    EXPECT(TightenPolicy(Options{.allow = {}, .deny = {"subprocess"}}).ok());
    EXPECT(Denied(popen) && Denied(fork_exec));
  }
  {
    const Policy policy(Options{.allow = {}, .deny = {"subprocess"}, .children = true});
    EXPECT(Denied(popen) && Denied(fork_exec));
  }
  const Policy policy(Options{});
  EXPECT(!RoutesChildren());
  EXPECT(!CheckSame(Options{.allow = {}, .deny = {}, .children = true}).ok());
}

TEST(policy_without_options_is_the_table) {
  const Policy policy(Options{});
  for (std::size_t i = 0; i < kEvents.size(); ++i) {
    EXPECT(Denied(static_cast<EventId>(i)) == (kEvents[i].standard == Verdict::kDeny));
  }
  EXPECT(ActionOf(IdOf("os.fork")) == Action::kRefuse);
  EXPECT(ActionOf(IdOf("open")) == Action::kPass);
  EXPECT(ActionOf(IdOf("ctypes.dlsym")) == Action::kInspect);
}

TEST(policy_names_count_more_than_groups_and_deny_more_than_allow) {
  const Policy policy(Options{
      .allow = {"subprocess", "socket.connect", "os.kill"},
      .deny = {"os.fork", "network", "os.kill"},
  });
  SealPolicy();
  EXPECT(!Denied(IdOf("subprocess.Popen")));
  EXPECT(Denied(IdOf("os.fork")));
  EXPECT(!Denied(IdOf("socket.connect")));
  EXPECT(Denied(IdOf("socket.bind")));
  EXPECT(Denied(IdOf("os.kill")));
}

TEST(policy_denials_of_ones_own_wait_for_the_end_of_the_start) {
  const Policy policy(Options{.allow = {}, .deny = {"filesystem", "subprocess"}});
  EXPECT(!Denied(IdOf("open")));
  EXPECT(Denied(IdOf("os.fork")));
  SealPolicy();
  EXPECT(Denied(IdOf("open")));
}

TEST(policy_is_tightened_at_once_and_never_loosened) {
  const Policy policy(Options{.allow = {"subprocess"}, .deny = {}});
  EXPECT(!Denied(IdOf("os.fork")));
  EXPECT(TightenPolicy(Options{.allow = {}, .deny = {"os.fork", "network"}}).ok());
  EXPECT(Denied(IdOf("os.fork")));
  EXPECT(Denied(IdOf("socket.connect")));
  SealPolicy();
  EXPECT(TightenPolicy(Options{}).ok());
  EXPECT(Denied(IdOf("os.fork")));
}

TEST(policy_refuses_unknown_names_and_then_changes_nothing) {
  const Policy policy(Options{});
  const Result<void> result =
      TightenPolicy(Options{.allow = {}, .deny = {"open", "socket.conect"}});
  EXPECT(!result.ok());
  EXPECT(result.error().code == "ERR_COLOOP_POLICY");
  EXPECT(result.error().message.find("near it are: socket.connect") != std::string::npos);
  EXPECT(!Denied(IdOf("open")));
  EXPECT(!SetPolicy(Options{.allow = {"subproces"}, .deny = {}}).ok());
  EXPECT(!TightenPolicy(Options{.allow = {}, .deny = {std::string("open\0", 5)}}).ok());
  EXPECT(!TightenPolicy(Options{.allow = {}, .deny = {""}}).ok());
}

TEST(policy_of_a_later_environment_is_the_same_or_none) {
  const Policy policy(Options{.allow = {"os.kill"}, .deny = {"network", "cffi"}});
  EXPECT(CheckSame(Options{}).ok());
  EXPECT(CheckSame(Options{.allow = {"os.kill"}, .deny = {"cffi", "network", "cffi"}}).ok());
  EXPECT(!CheckSame(Options{.allow = {}, .deny = {"network", "cffi"}}).ok());
}

TEST(policy_inspects_opening_only_when_writing_is_denied) {
  const Policy policy(Options{.allow = {}, .deny = {"open/write"}});
  SealPolicy();
  EXPECT(ActionOf(IdOf("open")) == Action::kInspect);
}

TEST(symbols_are_known_by_address) {
  coloop::sandbox::ResolveSymbols();
  EXPECT(coloop::sandbox::ClassifySymbol(nullptr, "fork") == IdOf("ctypes.dlsym/process"));
  EXPECT(coloop::sandbox::ClassifySymbol(nullptr, "__libc_fork") == IdOf("ctypes.dlsym/process"));
  EXPECT(coloop::sandbox::ClassifySymbol(nullptr, "sigaction") == IdOf("ctypes.dlsym/signal"));
  EXPECT(coloop::sandbox::ClassifySymbol(nullptr, "getpid") == kUnknownEvent);
  EXPECT(coloop::sandbox::ClassifySymbol(nullptr, "no_such_symbol") == kUnknownEvent);
}

}  // namespace
