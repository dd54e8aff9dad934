// The hook allocates nothing for what is allowed: of Python, of C++ or of the C library, on the
// thread that raises the event. Not seen is what CPython takes from its lists of free tuples and
// the like.
//
// Nor counted is what is said to allocate: the report of a watched event, and text that is not
// ASCII, of which CPython keeps the UTF-8 when it is first asked for. The C library resolves paths
// from a kilobyte on, and matches globs with names from 256 letters on, in memory that it
// allocates.
#include <Python.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

#include "interp/gil.h"
#include "interp/ref.h"
#include "policy.h"
#include "sandbox/events.h"
#include "sandbox/policy.h"
#include "test.h"

namespace {
thread_local long allocations = 0;
}  // namespace

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// Of sanitizer/allocator_interface.h, which gcc does not install.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void*,
                                                                             std::size_t),
                                                         void (*free_hook)(const volatile void*));

namespace {
void CountAllocation(const volatile void*, std::size_t) { ++allocations; }
void IgnoreFree(const volatile void*) {}
[[maybe_unused]] const int hooks =
    __sanitizer_install_malloc_and_free_hooks(CountAllocation, IgnoreFree);
}  // namespace
#else
// In place of the C library's own, for everybody in the process; the names are its.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming,misc-include-cleaner)
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);

[[gnu::visibility("default")]] void* malloc(std::size_t size) {
  ++allocations;
  return __libc_malloc(size);
}
[[gnu::visibility("default")]] void* calloc(std::size_t count, std::size_t size) {
  ++allocations;
  return __libc_calloc(count, size);
}
[[gnu::visibility("default")]] void* realloc(void* memory, std::size_t size) {
  ++allocations;
  return __libc_realloc(memory, size);
}
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming,misc-include-cleaner)
#endif

namespace {

using coloop::interp::GilAcquire;
using coloop::interp::Owned;
using coloop::sandbox::Action;
using coloop::sandbox::ActionOf;
using coloop::sandbox::FindEvent;
using coloop::sandbox::kEvents;
using coloop::sandbox::kUnknownEvent;
using coloop::sandbox::Options;
using coloop::sandbox::SealPolicy;
using coloop::test::Policy;

// Counts what Python allocates, which is mostly from memory that it has already.
class CountedAllocator {
 public:
  explicit CountedAllocator(PyMemAllocatorDomain domain) : domain_(domain) {
    PyMem_GetAllocator(domain, &original_);
    PyMemAllocatorEx counting{this, Malloc, Calloc, Realloc, Free};
    PyMem_SetAllocator(domain, &counting);
  }
  ~CountedAllocator() { PyMem_SetAllocator(domain_, &original_); }
  CountedAllocator(const CountedAllocator&) = delete;
  CountedAllocator& operator=(const CountedAllocator&) = delete;
  CountedAllocator(CountedAllocator&&) = delete;
  CountedAllocator& operator=(CountedAllocator&&) = delete;

 private:
  static const PyMemAllocatorEx& Original(void* self) {
    return static_cast<CountedAllocator*>(self)->original_;
  }
  static void* Malloc(void* self, std::size_t size) {
    ++allocations;
    return Original(self).malloc(Original(self).ctx, size);
  }
  static void* Calloc(void* self, std::size_t count, std::size_t size) {
    ++allocations;
    return Original(self).calloc(Original(self).ctx, count, size);
  }
  static void* Realloc(void* self, void* memory, std::size_t size) {
    ++allocations;
    return Original(self).realloc(Original(self).ctx, memory, size);
  }
  static void Free(void* self, void* memory) { Original(self).free(Original(self).ctx, memory); }

  const PyMemAllocatorDomain domain_;
  PyMemAllocatorEx original_{};
};

// How many allocations the event makes, each time it is raised; negative if it is refused. A tuple
// is handed on as it is.
long AllocationsOf(const char* event, PyObject* arguments, int times) {
  const CountedAllocator memory(PYMEM_DOMAIN_MEM);
  const CountedAllocator objects(PYMEM_DOMAIN_OBJ);
  const long before = allocations;
  for (int i = 0; i < times; ++i) {
    if (PySys_Audit(event, "O", arguments) == 0) continue;
    PyErr_Print();
    return -1;
  }
  return allocations - before;
}

Owned Evaluate(const char* expression) {
  const Owned globals(PyDict_New());
  PyDict_SetItemString(globals.get(), "__builtins__", PyEval_GetBuiltins());
  return Owned(PyRun_String(expression, Py_eval_input, globals.get(), globals.get()));
}

struct Allowed {
  const char* event;
  const char* arguments;  // an expression that gives a tuple
};

// That each is inspected, allowed, and allocates nothing.
template <std::size_t kCount>
void ExpectNone(const Options& options, const std::array<Allowed, kCount>& events, int times) {
  const GilAcquire acquire;
  std::vector<Owned> arguments;
  arguments.reserve(kCount);
  for (const Allowed& each : events) arguments.push_back(Evaluate(each.arguments));
  const Policy policy(options);
  SealPolicy();
  for (std::size_t i = 0; i < kCount; ++i) {
    EXPECT(arguments[i] && PyTuple_Check(arguments[i].get()) != 0);
    if (!arguments[i]) return PyErr_Print();
    EXPECT(ActionOf(FindEvent(events[i].event)) == Action::kInspect);
    (void)AllocationsOf(events[i].event, arguments[i].get(), 1);  // what is made once for all
    const long made = AllocationsOf(events[i].event, arguments[i].get(), times);
    EXPECT(made == 0);
    if (made != 0) std::printf("  %s%s: %ld\n", events[i].event, events[i].arguments, made);
  }
}

TEST(allocations_are_seen) {
  const GilAcquire acquire;
  long before = allocations;
  const std::vector<char> text(1000);
  EXPECT(allocations > before);
  const CountedAllocator objects(PYMEM_DOMAIN_OBJ);
  before = allocations;
  const Owned object(PyBytes_FromStringAndSize(text.data(), 100));
  EXPECT(allocations > before);
}

TEST(allocations_none_in_a_million_events_that_pass) {
  const GilAcquire acquire;
  const Policy policy(Options{});
  const Owned arguments(PyTuple_New(0));
  int kinds = 0;
  for (std::size_t i = 0; i <= kEvents.size(); ++i) {
    const std::string name = i < kEvents.size() ? std::string(kEvents[i].name) : "of.no.table";
    const auto event = FindEvent(name.c_str());
    if (event != kUnknownEvent && ActionOf(event) != Action::kPass) continue;
    ++kinds;
    EXPECT(AllocationsOf(name.c_str(), arguments.get(), 20'000) == 0);
  }
  EXPECT(kinds * 20'000 > 1'000'000);
}

TEST(allocations_none_in_inspected_events_without_rules) {
  ExpectNone(Options{},
             std::to_array<Allowed>({
                 {"import", "('json.decoder', None, None, None, None)"},
                 {"import", "('_json', '/usr/lib/_json.so', None, None, None)"},
                 {"ctypes.dlsym", "(__import__('types').SimpleNamespace(_handle=0), 'getpid')"},
                 {"ctypes.dlsym/handle", "(0, 'getpid')"},
                 {"ctypes.dlsym/handle", "(0, b'getpid')"},
             }),
             200'000);
}

TEST(allocations_none_in_paths_that_rules_resolve) {
  ExpectNone(Options{.rules = {"read allow /", "read deny /proc/1", "write allow /dev",
                               "write allow /tmp", "write deny /dev/full"}},
             std::to_array<Allowed>({
                 {"open", "('/dev/null', 'r', 0)"},
                 {"open", "('/dev/../dev/./null', 'w', 1)"},
                 {"open", "('/tmp/no/such/folder/file', None, 1)"},
                 {"open", "('/proc/self/exe', 'r', 0)"},
                 {"open", "('CMakeLists.txt', 'r', 0)"},
                 {"open", "(b'/dev/null', 'r', 0)"},
                 {"open", "(3, 'r', 0)"},
                 {"open", "('/tmp/' + 'x' * 200, 'w', 1)"},
                 {"os.listdir", "('/dev',)"},
                 {"os.scandir", "(None,)"},
                 {"os.mkdir", "('/tmp/folder', 511, -1)"},
                 {"os.mkdir", "('folder', 511, __import__('os').open('/tmp', 0))"},
                 {"os.rename", "('/tmp/one', '/tmp/other', -1, -1)"},
                 {"os.link", "('/dev/null', '/tmp/link', -1, -1)"},
                 {"os.utime", "('/tmp', None, None, -1)"},
                 {"import", "('_json', '/dev/null', None, None, None)"},
                 {"sqlite3.connect", "('/tmp/database',)"},
                 {"sqlite3.connect", "(':memory:',)"},
             }),
             5'000);
}

TEST(allocations_none_in_hosts_that_rules_judge) {
  ExpectNone(
      Options{.rules = {"connect allow 10.0.0.0/8", "connect allow [::1]:80", "connect allow @bus",
                        "connect allow *.example.com:443", "connect allow /tmp",
                        "bind allow *:8080", "connect allow @a-name-longer-than-any-short-string",
                        "resolve allow *.example.com", "resolve deny secret.example.com"}},
      std::to_array<Allowed>({
          {"socket.connect", "(None, ('10.1.2.3', 5432))"},
          {"socket.connect", "(None, ('::1', 80, 0, 0))"},
          {"socket.connect", "(None, ('www.example.com', 443))"},
          {"socket.connect", "(None, '/tmp/socket')"},
          {"socket.connect", "(None, b'\\0bus')"},
          {"socket.connect", "(None, b'\\0a-name-longer-than-any-short-string')"},
          {"socket.bind", "(None, ('0.0.0.0', 8080))"},
          {"socket.bind", "(None, ('', 8080))"},
          {"socket.sendto", "(None, ('10.1.2.3', 53))"},
          {"socket.sendmsg", "(None, None)"},
          {"socket.getaddrinfo", "('www.example.com', 443, 0, 0, 0)"},
          {"socket.getaddrinfo", "('192.0.2.1', 443, 0, 0, 0)"},
          {"socket.gethostbyname", "('www.example.com',)"},
          {"socket.getnameinfo", "(('www.example.com', 80),)"},
      }),
      100'000);
}

TEST(allocations_none_in_names_that_rules_judge) {
  ExpectNone(Options{.rules = {"import allow json", "import allow ctypes", "load allow libc.so*",
                               "load deny *evil*", "symbol allow get*", "symbol deny gets"}},
             std::to_array<Allowed>({
                 {"import", "('json', None, None, None, None)"},
                 {"import", "('json.decoder', None, None, None, None)"},
                 {"ctypes.dlopen", "('libc.so.6',)"},
                 {"ctypes.dlopen", "(None,)"},
                 {"ctypes.dlsym/handle", "(0, 'getpid')"},
             }),
             100'000);
}

}  // namespace
