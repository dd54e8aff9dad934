// The Python objects that JavaScript holds by proxies.
//
// A record is a slot: the object (one strong reference), and a weak Node-API reference to the
// proxy. Finalizers and FinalizationRegistry callbacks do not run until the loop turns, so a
// synchronous loop would keep every object; therefore the table is swept for empty references
// whenever it has doubled. A handle names slot and generation, so one that is out of date finds
// nothing. JavaScript thread and GIL for everything but Collected.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "convert/napi_source.h"
#include "interp/gil.h"
#include "interp/ref.h"

struct napi_env__;
struct napi_value__;
struct napi_ref__;

namespace coloop::bridge {

class EnvData;

class ProxyTable final : public convert::PythonObjects {
 public:
  explicit ProxyTable(EnvData& data) : data_(data) {}
  ProxyTable(const ProxyTable&) = delete;
  ProxyTable& operator=(const ProxyTable&) = delete;
  ~ProxyTable() override = default;

  // The live proxy of `object`, or a new one. Null after a failure, a JavaScript exception pending.
  [[nodiscard]] napi_value__* ProxyOf(const interp::Gil& gil, _object* object);

  [[nodiscard]] _object* Find(double handle) override;

  // Drops the object of `handle` now; false if it was dropped before.
  bool Release(const interp::Gil& gil, double handle);
  // A proxy was collected (a finalizer, no GIL): its object is dropped by DropCollected.
  void Collected(std::uint32_t index, std::uint32_t generation);
  [[nodiscard]] bool has_collected() const { return !collected_.empty(); }
  void DropCollected(const interp::Gil& gil);
  // Drops everything (close): handles of before find nothing afterwards.
  void Clear(const interp::Gil& gil);
  [[nodiscard]] std::size_t live() const { return live_; }

 private:
  struct Slot {
    _object* object = nullptr;
    napi_ref__* proxy = nullptr;
    std::uint32_t generation = 1;
    std::uint32_t next_free = kNone;
  };
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;
  static constexpr std::size_t kFirstSweep = 1024;

  std::uint32_t Allocate(_object* object);
  void Free(std::uint32_t index);
  void SweepIfDoubled(const interp::Gil& gil);
  [[nodiscard]] napi_value__* ProxyAt(std::uint32_t index);

  EnvData& data_;
  std::vector<Slot> slots_;
  std::unordered_map<_object*, std::uint32_t> by_object_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> collected_;
  std::uint32_t first_free_ = kNone;
  std::size_t live_ = 0;
  std::size_t sweep_at_ = kFirstSweep;
};

}  // namespace coloop::bridge
