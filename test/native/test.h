// The smallest test harness that serves: cases by name, checks that go on, a count at the end.
#pragma once

#include <cstdio>
#include <vector>

namespace coloop::test {

struct Case {
  const char* name;
  void (*run)();
};

inline std::vector<Case>& Cases() {
  static std::vector<Case> cases;
  return cases;
}

inline int failed_checks = 0;

struct Registration {
  Registration(const char* name, void (*run)()) { Cases().push_back(Case{name, run}); }
};

// Runs every case and prints one line for each, then the count. The number of cases that failed.
inline int RunAll() {
  int passed = 0;
  int failed = 0;
  for (const Case& test : Cases()) {
    failed_checks = 0;
    test.run();
    std::printf("%s %s\n", failed_checks == 0 ? "ok  " : "FAIL", test.name);
    ++(failed_checks == 0 ? passed : failed);
  }
  std::printf("%d passed, %d failed, 0 skipped\n", passed, failed);
  return failed;
}

}  // namespace coloop::test

#define TEST(name)                                                                   \
  static void Test_##name();                                                         \
  static const ::coloop::test::Registration registration_##name(#name, Test_##name); \
  static void Test_##name()

#define EXPECT(condition)                                                    \
  do {                                                                       \
    if (!(condition)) {                                                      \
      ++::coloop::test::failed_checks;                                       \
      std::printf("  %s:%d: expected %s\n", __FILE__, __LINE__, #condition); \
    }                                                                        \
  } while (false)
