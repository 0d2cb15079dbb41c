// ./dev vectors adds up what tests print, and does not let a family pass that was not run.

#include "tests/project/command.h"

namespace beamline::test {
namespace {

std::string junit(const std::string& output) {
  return "<testsuite><testcase name=\"a\" status=\"run\"><system-out>" + output +
         "</system-out></testcase></testsuite>";
}

Outcome add_up(const TemporaryTree& tree) {
  return run("python3 " + top() + "/scripts/vectors.py --folder " + tree.path() + " --report " +
             tree.path() + "/report.xml");
}

TEST(Vectors, PassedFamiliesAndThoseThatNobodyReadsYet) {
  TemporaryTree tree;
  tree.write("a/one.json", R"({"leanEnv": "test", "typeName": "Uint8"})");
  // The family is in the file, whatever the folder is called.
  tree.write("ssz_test/two.json", R"({"leanEnv": "test", "handlerName": "graft"})");
  tree.write("report.xml", junit("vectors: lean/ssz: passed 1, failed 0, skipped 0\n"));
  const Outcome outcome = add_up(tree);
  EXPECT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_NE(outcome.output.find("lean/ssz"), std::string::npos) << outcome.output;
  EXPECT_NE(outcome.output.find("no test reads them yet"), std::string::npos) << outcome.output;
}

TEST(Vectors, FailedSkippedAndForgottenOnesAreFailures) {
  const std::pair<const char*, const char*> bad[] = {
      {"vectors: lean/ssz: passed 1, failed 1, skipped 0\n", "1 failed"},
      {"vectors: lean/ssz: passed 0, failed 0, skipped 2 (no time)\n", "none of it ran"},
      {"vectors: lean/ssz: passed 1, failed 0, skipped 0\n", "1 of 2 vectors were not run"},
      {"nothing\n", "no vector"}};
  for (const auto& [printed, says] : bad) {
    TemporaryTree tree;
    tree.write("one.json", R"({"leanEnv": "test", "typeName": "Uint8"})");
    tree.write("two.json", R"({"leanEnv": "test", "typeName": "Uint16"})");
    tree.write("report.xml", junit(printed));
    const Outcome outcome = add_up(tree);
    EXPECT_EQ(outcome.status, 1) << outcome.output;
    EXPECT_NE(outcome.output.find(says), std::string::npos) << outcome.output;
  }
}

}  // namespace
}  // namespace beamline::test
