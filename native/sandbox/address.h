// Patterns for hosts and ports: addresses, networks, names. POSIX only; matching allocates nothing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace coloop::sandbox {

// IPv4 as in ::ffff:a.b.c.d, so that both spellings of an address are one.
using Address = std::array<std::uint8_t, 16>;

// An address as getaddrinfo would give it. Not the other spellings that inet_aton takes: to a rule
// they are names.
[[nodiscard]] std::optional<Address> ParseAddress(const char* text);

// 0.0.0.0 and ::, which connect to this host.
[[nodiscard]] Address LoopbackIfUnspecified(const Address& address);

struct HostPattern {
  bool any = false;
  int bits = -1;  // of a network; negative: a name
  Address network{};
  std::string name;  // in lower case; "*.a.b" are the names below a.b
  int port = -1;     // negative: any

  [[nodiscard]] bool MatchesAddress(const Address& address, int asked) const;
  [[nodiscard]] bool MatchesName(const char* asked_name, int asked) const;
};

// `host`, `host:port`, `10.0.0.0/8`, `[::1]:80`, `*:443`, `*.example.com`; `localhost` stands for
// the loopback addresses too. Appends; false if the text is none of these.
[[nodiscard]] bool ParseHostPattern(const std::string& text, std::vector<HostPattern>& patterns);

}  // namespace coloop::sandbox
