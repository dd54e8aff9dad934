// Python's own fault handler, between two of ours:
//
//   OnSegmentationFault   WebAssembly's out-of-bounds accesses are V8's, everything else a crash
//   Python's              prints the stacks of all threads, puts back what it found, raises again
//   OnFault               prints JavaScript's stack, puts back what it found, raises again
//   what was there before (Node.js', which ends the process)
//
// Nothing here is what POSIX calls async-signal-safe but for the first, and JavaScript's stack less
// than Python's: so an alarm ends the process if it hangs, and a second fault ends it at once.
#include "interp/faults.h"

#include <Python.h>
#include <dlfcn.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdio>

#include "base/result.h"
#include "interp/error.h"
#include "interp/gil.h"
#include "interp/ref.h"

namespace coloop::interp {

namespace {

constexpr std::array kFaults = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
constexpr unsigned kSecondsForJavaScript = 2;
constexpr std::size_t kStackSize = std::size_t{256} * 1024;

using Handler = void (*)(int, siginfo_t*, void*);
using TrapHandler = bool (*)(int, siginfo_t*, void*);
using Printer = void (*)(std::FILE*);

std::array<struct sigaction, kFaults.size()> before;
struct sigaction python_segmentation_fault{};
TrapHandler handled_by_v8 = nullptr;
Printer print_javascript = nullptr;
volatile sig_atomic_t fault = 0;
alignas(16) std::array<char, kStackSize> fault_stack;

void Default(int number) {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  sigaction(number, &action, nullptr);
}

void OnAlarm(int) {
  Default(fault);
  raise(fault);
}

void PrintJavaScript(int number) {
  fault = number;
  struct sigaction action{};
  action.sa_handler = OnAlarm;
  sigaction(SIGALRM, &action, nullptr);
  alarm(kSecondsForJavaScript);
  Default(number);
  constexpr char kTitle[] = "\nJavaScript stack of this thread:";
  (void)!write(STDERR_FILENO, kTitle, sizeof kTitle - 1);
  print_javascript(stderr);
  std::fflush(stderr);
  alarm(0);
}

// What was there before.
void PutBack(int number) {
  for (std::size_t i = 0; i < kFaults.size(); ++i) {
    if (kFaults[i] == number) sigaction(number, &before[i], nullptr);
  }
}

void OnFault(int number, siginfo_t*, void*) {
  if (print_javascript != nullptr) PrintJavaScript(number);
  PutBack(number);
  raise(number);
}

void OnSegmentationFault(int number, siginfo_t* info, void* context) {
  if (handled_by_v8 != nullptr && handled_by_v8(number, info, context)) return;
  python_segmentation_fault.sa_handler(number);
}

void Set(int number, Handler handler) {
  struct sigaction action{};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigaction(number, &action, nullptr);
}

// Of the process that this is a part of; null outside of Node.js and where it hides them.
template <typename Function>
Function Find(const char* symbol) {
  return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, symbol));
}

}  // namespace

base::Result<void> ReportFaults(const Gil& gil) {
  handled_by_v8 = Find<TrapHandler>("_ZN2v829TryHandleWebAssemblyTrapPosixEiP9siginfo_tPv");
  print_javascript = Find<Printer>("_ZN4node23DumpJavaScriptBacktraceEP8_IO_FILE");
  struct sigaction aborted{};
  sigaction(SIGABRT, nullptr, &aborted);
  for (std::size_t i = 0; i < kFaults.size(); ++i) {
    sigaction(kFaults[i], nullptr, &before[i]);
    Set(kFaults[i], OnFault);
  }
  const Owned module(PyImport_ImportModule("faulthandler"));
  const Owned enabled(module ? PyObject_CallMethod(module.get(), "enable", "i", STDERR_FILENO)
                             : nullptr);
  sigaction(SIGABRT, &aborted, nullptr);  // who aborts has said why
  if (!enabled) {
    for (const int number : kFaults) PutBack(number);
    return TakeAsError(gil, "ERR_COLOOP_START");
  }
  sigaction(SIGSEGV, nullptr, &python_segmentation_fault);
  if (handled_by_v8 == nullptr && before[0].sa_handler != SIG_DFL) {
    PutBack(SIGSEGV);
  } else {
    Set(SIGSEGV, OnSegmentationFault);
  }
  // Python's own is too small for JavaScript's stack.
  stack_t stack{};
  stack.ss_sp = fault_stack.data();
  stack.ss_size = fault_stack.size();
  sigaltstack(&stack, nullptr);
  return {};
}

}  // namespace coloop::interp
