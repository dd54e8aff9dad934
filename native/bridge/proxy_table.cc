// Slots, identity and release of proxies.
#include "bridge/proxy_table.h"

#include <node_api.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/completion.h"
#include "base/counters.h"
#include "bridge/env_data.h"
#include "bridge/helpers.h"
#include "interp/gil.h"
#include "interp/object.h"
#include "interp/ref.h"

namespace coloop::bridge {

namespace {

constexpr double kGenerationUnit = 4294967296.0;  // handle = generation * 2^32 + index
constexpr std::uint32_t kMaxGeneration = 0xFFFFF;
constexpr std::size_t kSweepScope = 256;

void OnCollected(napi_env, void* data, void* hint) {
  auto* env_data = static_cast<EnvData*>(data);
  const auto packed = reinterpret_cast<std::uintptr_t>(hint);
  env_data->proxies.Collected(static_cast<std::uint32_t>(packed),
                              static_cast<std::uint32_t>(packed >> 32));
}

}  // namespace

std::uint32_t ProxyTable::Allocate(_object* object) {
  std::uint32_t index = first_free_;
  if (index == kNone) {
    index = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    first_free_ = slots_[index].next_free;
  }
  interp::IncRef(object);
  slots_[index].object = object;
  ++live_;
  base::CountLive(base::Live::kPyProxy, 1);
  by_object_[object] = index;
  return index;
}

void ProxyTable::Free(std::uint32_t index) {
  Slot& slot = slots_[index];
  _object* object = slot.object;
  const auto entry = by_object_.find(object);
  if (entry != by_object_.end() && entry->second == index) by_object_.erase(entry);
  if (slot.proxy != nullptr) napi_delete_reference(data_.env, slot.proxy);
  slot.object = nullptr;
  slot.proxy = nullptr;
  slot.generation = slot.generation == kMaxGeneration ? 1 : slot.generation + 1;
  slot.next_free = first_free_;
  first_free_ = index;
  --live_;
  base::CountLive(base::Live::kPyProxy, -1);
  interp::DecRef(object);  // last: it may run Python, which may come back here
}

napi_value ProxyTable::ProxyAt(std::uint32_t index) {
  napi_value proxy = nullptr;
  napi_ref reference = slots_[index].proxy;
  if (reference != nullptr) napi_get_reference_value(data_.env, reference, &proxy);
  return proxy;
}

void ProxyTable::SweepIfDoubled(const interp::Gil&) {
  if (live_ < sweep_at_) return;
  std::vector<std::uint32_t> empty;
  for (std::size_t start = 0; start < slots_.size(); start += kSweepScope) {
    napi_handle_scope scope = nullptr;
    napi_open_handle_scope(data_.env, &scope);
    const std::size_t end = std::min(start + kSweepScope, slots_.size());
    for (std::size_t i = start; i < end; ++i) {
      const auto index = static_cast<std::uint32_t>(i);
      if (slots_[i].proxy != nullptr && ProxyAt(index) == nullptr) empty.push_back(index);
    }
    napi_close_handle_scope(data_.env, scope);
  }
  // A release may run Python that comes back and frees or reuses slots: go by generation.
  for (std::uint32_t& index : empty) {
    Collected(index, slots_[index].generation);
  }
  sweep_at_ = std::max(kFirstSweep, 2 * (live_ - empty.size()));
  DropCollected(interp::Gil::FromPython());
}

napi_value ProxyTable::ProxyOf(const interp::Gil& gil, _object* object) {
  const auto entry = by_object_.find(object);
  if (entry != by_object_.end()) {
    napi_value proxy = ProxyAt(entry->second);
    if (proxy != nullptr) return proxy;
    const interp::Owned held = interp::Owned::NewRef(object);
    Free(entry->second);
    return ProxyOf(gil, object);
  }
  SweepIfDoubled(gil);
  const std::uint32_t index = Allocate(object);
  const std::uint32_t generation = slots_[index].generation;
  napi_env env = data_.env;
  napi_value arguments[2];
  napi_create_double(env, generation * kGenerationUnit + index, &arguments[0]);
  napi_create_uint32(env, interp::Abilities(gil, object), &arguments[1]);
  napi_value proxy = data_.CallHelper(Helper::kMakeProxy, 2, arguments);
  // NOLINTNEXTLINE(performance-no-int-to-ptr): a hint that is never followed, read back as it is
  void* packed = reinterpret_cast<void*>((static_cast<std::uintptr_t>(generation) << 32) | index);
  if (proxy == nullptr || napi_add_finalizer(env, proxy, &data_, OnCollected, packed,
                                             &slots_[index].proxy) != napi_ok) {
    Free(index);
    return nullptr;
  }
  return proxy;
}

_object* ProxyTable::Find(double handle) {
  const auto generation = static_cast<std::uint32_t>(handle / kGenerationUnit);
  const auto index = static_cast<std::uint32_t>(handle - generation * kGenerationUnit);
  if (index >= slots_.size() || slots_[index].generation != generation) return nullptr;
  return slots_[index].object;
}

bool ProxyTable::Release(const interp::Gil&, double handle) {
  if (Find(handle) == nullptr) return false;
  const auto generation = static_cast<std::uint32_t>(handle / kGenerationUnit);
  Free(static_cast<std::uint32_t>(handle - generation * kGenerationUnit));
  return true;
}

void ProxyTable::Collected(std::uint32_t index, std::uint32_t generation) {
  collected_.emplace_back(index, generation);
  if (collected_.size() == 1) data_.WakeThread();
}

void ProxyTable::DropCollected(const interp::Gil&) {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> batch;
  batch.swap(collected_);
  for (const auto& [index, generation] : batch) {
    if (slots_[index].object != nullptr && slots_[index].generation == generation) Free(index);
  }
}

void ProxyTable::Clear(const interp::Gil&) {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].object != nullptr) Free(static_cast<std::uint32_t>(i));
  }
  collected_.clear();
}

}  // namespace coloop::bridge
