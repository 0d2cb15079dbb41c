// Hosts of other languages, built and run against libbeamline.so as an embedder would.
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include <gtest/gtest.h>

#include "tests/project/command.h"

namespace beamline::test {
namespace {

const std::string kBuild = BEAMLINE_BUILD;
const std::string kLibrary = kBuild + "/libbeamline.so";

class Embedding : public testing::Test {
 protected:
  void SetUp() override { tree.write("include/beamline.h", read_file(top() + "/node/beamline.h")); }
  static std::string source(const std::string& name) { return top() + "/tests/node/embed/" + name; }
  std::string program() const { return tree.path() + "/host"; }
  std::string include() const { return " -I" + tree.path() + "/include "; }
  static std::string link() {
    return " -L" + kBuild + " -lbeamline -Wl,-rpath," + kBuild + " -pthread ";
  }
  static void expect_runs(const std::string& line) {
    const Outcome done = run("timeout 120 " + line);
    EXPECT_EQ(done.status, 0) << line << "\n" << done.output;
  }
  static std::string expect_host(const std::string& line) {
    const Outcome done = run("timeout 60 " + line);
    EXPECT_EQ(done.status, 0) << line << "\n" << done.output;
    EXPECT_NE(done.output.find("head O, 3 requests, 602 imported"), std::string::npos)
        << done.output;
    return done.output;
  }
  static bool has(const std::string& tool) { return run("command -v " + tool).status == 0; }

  TemporaryTree tree;
};

constexpr const char* kC = "cc -std=c11 -pedantic -Wall -Wextra -Werror ";

TEST_F(Embedding, HeaderAloneIsPedanticC11) {
  const std::string file =
      tree.write("alone.c", "#include <beamline.h>\nint main(void) {return 0;}");
  expect_runs(kC + file + include() + "-o " + program());
  for (const std::string standard : {"c++11", "c++23"}) {
    expect_runs("c++ -std=" + standard + " -pedantic -Wall -Wextra -Werror -x c++ -fsyntax-only" +
                include() + file);
  }
}

TEST_F(Embedding, CProgramPushesFromFourThreads) {
  expect_runs(kC + source("host.c") + include() + link() + "-o " + program());
  expect_host(program());
}

TEST_F(Embedding, AHostWithItsOwnClashingEvpSymbolsWorks) {
  // Exported, so that they come first wherever the loader looks.
  expect_runs("cc -std=c11 -Wall -rdynamic " + source("evp_host.c") + include() + "-ldl -o " +
              program());
  expect_runs(program() + " " + kLibrary);
  expect_runs("cc -std=c11 -Wall -rdynamic " + source("evp_host.c") + include() + link() +
              "-ldl -o " + program());
  expect_runs(program() + " " + kLibrary);
}

TEST_F(Embedding, SymbolsAreThoseOfTheListAndInTheHeader) {
  const Outcome named = run("nm -D --defined-only " + kLibrary + " | awk '$2 != \"A\" {print $3}'" +
                            " | sed 's/@.*//' | LC_ALL=C sort");
  ASSERT_EQ(named.status, 0) << named.output;
  EXPECT_EQ(named.output, read_file(source("symbols")));
  const std::string header = read_file(top() + "/node/beamline.h");
  std::istringstream names(named.output);
  for (std::string name; names >> name;) {
    EXPECT_NE(header.find(name + "("), std::string::npos) << name;
  }
}

TEST_F(Embedding, LibraryNeedsNothingButTheRuntimesOfCAndCpp) {
  const Outcome needed =
      run("readelf -d " + kLibrary + " | sed -n 's/.*NEEDED.*\\[\\(.*\\)\\]/\\1/p'");
  std::istringstream names(needed.output);
  for (std::string name; names >> name;) {
    EXPECT_TRUE(name.starts_with("libstdc++") || name.starts_with("libgcc_s") ||
                name.starts_with("libc.so") || name.starts_with("libm.so") ||
                name.starts_with("ld-linux"))
        << name;
  }
}

}  // namespace
}  // namespace beamline::test
