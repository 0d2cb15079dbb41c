// Stands in for inbox_model_test.cc where Relacy is not installed.
#include <gtest/gtest.h>

TEST(InboxModel, RelacyIsMissing) {
  GTEST_SKIP() << "relacy/relacy.hpp was not found when this was configured: install relacy-dev";
}
