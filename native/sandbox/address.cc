#include "sandbox/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace coloop::sandbox {

namespace {

constexpr Address kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr int kMappedBits = 96;

bool InNetwork(const Address& address, const Address& network, int bits) {
  const auto bytes = static_cast<std::size_t>(bits / 8);
  if (std::memcmp(address.data(), network.data(), bytes) != 0) return false;
  if (bits % 8 == 0) return true;
  const unsigned mask = 0xff00U >> (bits % 8) & 0xffU;
  return ((address[bytes] ^ network[bytes]) & mask) == 0;
}

std::optional<int> Number(std::string_view text, int most) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || text.empty() || value < 0 || value > most) return std::nullopt;
  return value;
}

bool ParseHost(const std::string& text, HostPattern& pattern) {
  const std::size_t slash = text.find('/');
  const std::string host = text.substr(0, slash);
  const std::optional<Address> address = ParseAddress(host.c_str());
  if (address) {
    const bool v4 = host.find(':') == std::string::npos;
    const int most = v4 ? 32 : 128;
    const std::optional<int> bits =
        slash == std::string::npos ? most : Number(std::string_view(text).substr(slash + 1), most);
    if (!bits) return false;
    pattern.network = *address;
    pattern.bits = *bits + (v4 ? kMappedBits : 0);
    return true;
  }
  pattern.any = host == "*";
  pattern.name = host;
  std::transform(host.begin(), host.end(), pattern.name.begin(), [](char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  });
  const std::size_t start = host.starts_with("*.") ? 2 : 0;
  const bool clean =
      std::all_of(host.begin() + static_cast<std::ptrdiff_t>(start), host.end(), [](char letter) {
        return letter > ' ' && letter < 127 && std::strchr("*?[]:/@,\"'", letter) == nullptr;
      });
  const bool dotted = host.find_first_not_of("0123456789.") == std::string::npos;
  return slash == std::string::npos && (pattern.any || (clean && !dotted && host.size() > start));
}

}  // namespace

std::optional<Address> ParseAddress(const char* text) {
  Address address = kMapped;
  if (inet_pton(AF_INET, text, address.data() + kMappedBits / 8) == 1) return address;
  char plain[INET6_ADDRSTRLEN];
  const std::size_t length = std::strcspn(text, "%");  // without the zone
  if (length >= sizeof plain) return std::nullopt;
  std::memcpy(plain, text, length);
  plain[length] = '\0';
  if (inet_pton(AF_INET6, plain, address.data()) == 1) return address;
  return std::nullopt;
}

Address LoopbackIfUnspecified(const Address& address) {
  Address none = kMapped;
  if (address == none) {
    none[12] = 127;
    none[15] = 1;
    return none;
  }
  Address loopback{};
  if (address != loopback) return address;
  loopback[15] = 1;
  return loopback;
}

bool HostPattern::MatchesAddress(const Address& address, int asked) const {
  if (port >= 0 && port != asked) return false;
  return any || (bits >= 0 && InNetwork(address, network, bits));
}

bool HostPattern::MatchesName(const char* asked_name, int asked) const {
  if (port >= 0 && port != asked) return false;
  if (any) return true;
  std::size_t length = std::strlen(asked_name);
  if (length > 0 && asked_name[length - 1] == '.') --length;  // of the root
  std::size_t skipped = 0;
  std::string_view wanted = name;
  if (wanted.starts_with("*.")) {
    wanted.remove_prefix(1);
    if (length <= wanted.size()) return false;
    skipped = length - wanted.size();
  }
  return bits < 0 && length - skipped == wanted.size() &&
         strncasecmp(asked_name + skipped, wanted.data(), wanted.size()) == 0;
}

bool ParseHostPattern(const std::string& text, std::vector<HostPattern>& patterns) {
  HostPattern pattern;
  std::string host = text;
  std::string port;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string::npos) return false;
    host = text.substr(1, end - 1);
    port = text.substr(end + 1);
    if (!ParseAddress(host.substr(0, host.find('/')).c_str())) return false;
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    host = text.substr(0, text.find(':'));
    port = text.substr(text.find(':'));
  }
  if (port == ":*") port.clear();
  if (!port.empty()) {
    const std::optional<int> number = Number(std::string_view(port).substr(1), 65535);
    if (port[0] != ':' || !number) return false;
    pattern.port = *number;
  }
  if (!ParseHost(host, pattern)) return false;
  patterns.push_back(pattern);
  if (pattern.name != "localhost") return true;
  for (const char* loopback : {"127.0.0.0/8", "::1"}) {
    HostPattern other;
    if (!ParseHost(loopback, other)) return false;
    other.port = pattern.port;
    patterns.push_back(other);
  }
  return true;
}

}  // namespace coloop::sandbox
