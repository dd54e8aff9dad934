#include "io/address_cache.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "interp/gil.h"
#include "interp/ref.h"
#include "io/address.h"

namespace coloop::io {

using interp::Owned;

namespace {

// FNV-1a over 32-bit words, of which socket addresses of the internet families are made.
std::size_t Hash(const sockaddr_storage& address, socklen_t length) {
  std::uint32_t hash = 2166136261U;
  for (std::size_t at = 0; at + sizeof(std::uint32_t) <= length; at += sizeof(std::uint32_t)) {
    std::uint32_t word = 0;
    std::memcpy(&word, reinterpret_cast<const char*>(&address) + at, sizeof(word));
    hash = (hash ^ word) * 16777619U;
  }
  return hash ^ hash >> 16U;
}

}  // namespace

Owned AddressCache::ToPython(const interp::Gil& gil, const sockaddr_storage& address,
                             socklen_t length) {
  const bool internet =
      length > 0 && (address.ss_family == AF_INET || address.ss_family == AF_INET6);
  const std::size_t index = internet ? Hash(address, length) & (kSize - 1) : 0;
  Key& key = keys_[index];
  if (internet && key.length == length && std::memcmp(key.bytes.data(), &address, length) == 0) {
    return Owned::NewRef(objects_[index].get());
  }
  Address full;
  full.length = std::min<socklen_t>(length, sizeof(full.storage));
  std::memcpy(&full.storage, &address, full.length);
  Owned object = io::ToPython(gil, full);
  if (!object || !internet || length > key.bytes.size()) return object;
  std::memcpy(key.bytes.data(), &address, length);
  key.length = length;
  const Owned dropped = std::exchange(objects_[index], Owned::NewRef(object.get()));
  return object;
}

bool AddressCache::Find(const _object* object, Address* address) const {
  const auto* const found =
      std::find_if(objects_.begin(), objects_.end(),
                   [object](const Owned& each) { return each.get() == object; });
  if (found == objects_.end()) return false;
  const Key& key = keys_[static_cast<std::size_t>(found - objects_.begin())];
  std::memcpy(&address->storage, key.bytes.data(), key.length);
  address->length = key.length;
  return true;
}

}  // namespace coloop::io
