// base: results and counters.

#include "base/counters.h"
#include "base/result.h"
#include "test.h"

namespace {

using coloop::base::Error;
using coloop::base::Live;
using coloop::base::Result;

Result<int> Half(int number) {
  if (number % 2 != 0) return Error{"ERR_TEST", "odd"};
  return number / 2;
}

TEST(result_carries_a_value_or_an_error) {
  EXPECT(Half(8).ok());
  EXPECT(Half(8).value() == 4);
  EXPECT(!Half(7).ok());
  EXPECT(Half(7).error().code == "ERR_TEST");
}

TEST(counters_go_up_and_down) {
  const auto before = coloop::base::LiveCount(Live::kWatch);
  coloop::base::CountLive(Live::kWatch, 3);
  EXPECT(coloop::base::LiveCount(Live::kWatch) == before + 3);
  coloop::base::CountLive(Live::kWatch, -3);
  EXPECT(coloop::base::LiveCount(Live::kWatch) == before);
}

}  // namespace
