// The blocks of the interpreters. They live as long as the process, as the interpreters do.
#include "interp/per_interpreter.h"

#include <Python.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <mutex>
#include <vector>

#include "base/check.h"
#include "base/thread_model.h"

namespace coloop::interp {

COLOOP_THREAD_MODEL constinit thread_local InterpreterHead* current_interpreter = nullptr;

namespace {

constexpr std::size_t RoundUp(std::size_t size) {
  constexpr std::size_t kAlignment = alignof(std::max_align_t);
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

struct Part {
  std::size_t offset;
  void (*construct)(void*);
};

struct Blocks {
  std::vector<Part> parts;
  std::size_t size = RoundUp(sizeof(InterpreterHead));
  std::mutex mutex;
  std::vector<InterpreterHead*> all;  // guarded by mutex
};

// The parts are reserved by constructors of static variables, in whatever order.
Blocks& TheBlocks() {
  static auto* blocks = new Blocks;
  return *blocks;
}

InterpreterHead* Find(PyInterpreterState* interpreter) {
  Blocks& blocks = TheBlocks();
  const std::lock_guard<std::mutex> lock(blocks.mutex);
  const auto found =
      std::find_if(blocks.all.begin(), blocks.all.end(),
                   [interpreter](const auto* each) { return each->interpreter == interpreter; });
  return found != blocks.all.end() ? *found : nullptr;
}

}  // namespace

std::size_t internal::ReservePart(std::size_t size, void (*construct)(void*)) {
  Blocks& blocks = TheBlocks();
  blocks.parts.push_back({blocks.size, construct});
  blocks.size += RoundUp(size);
  return blocks.parts.back().offset;
}

InterpreterHead& AddInterpreter(PyInterpreterState* interpreter) {
  Blocks& blocks = TheBlocks();
  auto* memory = static_cast<char*>(std::calloc(1, blocks.size));
  COLOOP_CHECK(memory != nullptr);
  auto* head = new (memory) InterpreterHead;
  head->interpreter = interpreter;
  for (const Part& part : blocks.parts) part.construct(memory + part.offset);
  const std::lock_guard<std::mutex> lock(blocks.mutex);
  blocks.all.push_back(head);
  current_interpreter = head;
  return *head;
}

InterpreterHead& MainInterpreter() {
  InterpreterHead* main = Find(PyInterpreterState_Main());
  COLOOP_CHECK(main != nullptr);
  return *main;
}

InterpreterHead* KnownInterpreter() {
  if (current_interpreter != nullptr) return current_interpreter;
#if PY_VERSION_HEX >= 0x030D0000
  PyThreadState* state = PyThreadState_GetUnchecked();
#else
  PyThreadState* state = _PyThreadState_UncheckedGet();
#endif
  if (state != nullptr) current_interpreter = Find(PyThreadState_GetInterpreter(state));
  return current_interpreter;
}

bool IsKnownInterpreter() { return Find(PyInterpreterState_Get()) != nullptr; }

InterpreterHead& FindCurrentInterpreter() {
  current_interpreter = Find(PyInterpreterState_Get());
  COLOOP_CHECK(current_interpreter != nullptr);
  return *current_interpreter;
}

}  // namespace coloop::interp
