#include "base/error.h"

namespace beamline {
namespace {

TEST(Error, SaysWhatWhereAndWho) {
  const Status status = bad_input(Code::truncated, "signature", 12);
  ASSERT_FALSE(status);
  EXPECT_EQ(to_string(status.error()), "truncated at signature+12 (peer)");
}

TEST(Error, EveryCodeHasItsOwnName) {
  std::map<std::string, int> names;
  const int count = static_cast<int>(Code::not_supported) + 1;
  for (int i = 0; i < count; ++i) ++names[name(static_cast<Code>(i))];
  EXPECT_EQ(names.size(), static_cast<size_t>(count));
  EXPECT_FALSE(names.contains("unknown"));
}

}  // namespace
}  // namespace beamline
