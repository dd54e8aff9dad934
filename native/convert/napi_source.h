// Reads JavaScript values, already encoded by src/encode.ts, and drives a sink. No user code runs
// while it reads: values are primitives or arrays that the encoder made.
#pragma once

#include <string>
#include <vector>

#include "convert/sink.h"

struct napi_env__;
struct napi_value__;

namespace coloop::convert {

// What the encoder's node [Python, handle] refers to; implemented by the table of proxies.
class PythonObjects {
 public:
  virtual ~PythonObjects() = default;
  // Borrowed; null if the handle is no longer valid.
  virtual _object* Find(double handle) = 0;
};

class NapiSource {
 public:
  NapiSource(napi_env__* env, PythonObjects& objects) : env_(env), objects_(objects) {}

  // False when the value could not be read (`error` says why) or the sink failed (`error` is
  // empty).
  [[nodiscard]] bool Read(napi_value__* value, Sink& sink);

  [[nodiscard]] const std::string& error() const { return error_; }
  [[nodiscard]] bool found_disposed() const { return found_disposed_; }
  // Where in the value reading stopped: ".items[3]".
  [[nodiscard]] std::string path() const;

 private:
  bool ReadNode(napi_value__* node, Sink& sink);
  bool ReadChildren(napi_value__* node, std::uint32_t first, std::uint32_t length, Sink& sink,
                    NodeKind kind);
  bool ReadString(napi_value__* value, Sink& sink);
  bool ReadBigInt(napi_value__* value, Sink& sink);
  bool ReadNumber(napi_value__* value, Sink& sink);
  bool ReadNumbers(napi_value__* node, Sink& sink);
  bool ReadBuffer(napi_value__* node, Sink& sink);
  // Nodes are ours, so reading one fails only when JavaScript is being terminated.
  bool Ended();
  bool NoMemory();
  napi_value__* Element(napi_value__* node, std::uint32_t index);  // null then
  bool NumberAt(napi_value__* node, std::uint32_t index, double* number);
  void PrependPath(napi_value__* node, std::uint32_t index, NodeKind kind);
  std::string TextOf(napi_value__* value);

  napi_env__* env_;
  PythonObjects& objects_;
  std::string error_;
  bool found_disposed_ = false;
  std::vector<std::string> path_;  // innermost first
};

}  // namespace coloop::convert
