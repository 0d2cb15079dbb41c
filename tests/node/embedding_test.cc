// Hosts of other languages, built and run against libbeamline.so as an embedder would.
#include <cstdlib>
#include <filesystem>
#include <regex>
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

// What its head promises: read by any tool, and every function says who may call it.
TEST_F(Embedding, HeaderHasNoMacrosButConstantsNoBitFieldsAndAThreadRuleForEachFunction) {
  std::istringstream lines(read_file(top() + "/node/beamline.h"));
  const std::regex constant("#define BL_[A-Z0-9_]+ ?(-?[0-9]+|\\\\)?.*");
  const std::regex function("^(int32_t|uint32_t|void|const char\\*) (bl_[a-z_]+)\\(.*");
  const std::regex rule("Any thread|Owner|Producer|One thread at a time|one thread at a time");
  std::string comment, section;
  size_t functions = 0;
  bool open = false;
  for (std::string line; std::getline(lines, line);) {
    EXPECT_FALSE(std::regex_search(line, std::regex("^ *u?int[0-9]*_t [a-z_]+ *: *[0-9]"))) << line;
    EXPECT_EQ(line.find('\t'), std::string::npos) << line;
    if (line.starts_with("#define") && line != "#define BEAMLINE_H") {
      EXPECT_TRUE(std::regex_match(line, constant)) << line;
      EXPECT_EQ(line.substr(0, line.find(' ', 8)).find('('), std::string::npos) << line;
    }
    if (line.starts_with("/* ---- ")) section.clear();
    if (line.starts_with("/*")) comment.clear(), open = true;
    if (open) comment += line;
    if (line.find("*/") != std::string::npos) {
      open = false;
      const bool lasts =
          comment.starts_with("/* ---- ") || comment.find("here and below") != comment.npos;
      if (lasts && std::regex_search(comment, rule)) section = comment;
    }
    std::smatch found;
    if (open || !std::regex_match(line, found, function)) continue;
    ++functions;
    EXPECT_TRUE(std::regex_search(comment + section, rule)) << found[2];
  }
  std::istringstream symbols(read_file(source("symbols")));
  size_t listed = 0;
  for (std::string name; symbols >> name;) ++listed;
  EXPECT_EQ(functions, listed);
}

TEST_F(Embedding, CProgramPushesFromFourThreads) {
  expect_runs(kC + source("host.c") + include() + link() + "-o " + program());
  expect_host(program());
}

TEST_F(Embedding, RustProgramPushesFromFourThreads) {
  if (!has("rustc")) GTEST_SKIP() << "rustc is not installed";
  expect_runs("rustc --edition 2021 -D warnings " + source("host.rs") + " -L " + kBuild +
              " -l beamline -C link-arg=-Wl,-rpath," + kBuild + " -o " + program());
  expect_host(program());
}

TEST_F(Embedding, PythonPushesFromFourThreadsByCtypes) {
  if (!has("python3")) GTEST_SKIP() << "python3 is not installed";
  expect_host("python3 " + source("host.py") + " " + kLibrary);
}

// The compiler, from the wheel `ziglang`; empty where it is not to be had. Kept in the build.
std::string zig() {
  const std::string folder = kBuild + "/zig-0.15.2", compiler = folder + "/ziglang/zig";
  if (!std::filesystem::exists(compiler)) {
    run("timeout 100 python3 -m pip install -q --no-deps --disable-pip-version-check --retries 1 "
        "--timeout 20 --target " +
        folder + ".part ziglang==0.15.2 && mv " + folder + ".part " + folder);
  }
  return std::filesystem::exists(compiler) ? compiler : "";
}

// The shim of docs/embedding.md.
std::string zig_shim() {
  const std::string text = read_file(top() + "/docs/embedding.md");
  const size_t begin = text.find("```zig\n") + 7;
  return text.substr(begin, text.find("```\n", begin) - begin);
}

TEST_F(Embedding, ZeamShimOfTheDocumentationIsAtMostFiftyLinesOfCode) {
  std::istringstream lines(zig_shim());
  int code = 0;
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find_first_not_of(' ');
    if (first != std::string::npos && line.compare(first, 2, "//") != 0) ++code;
  }
  EXPECT_GT(code, 30);
  EXPECT_LE(code, 50);
  for (const std::string name : {"onGossip", "onReqRespRequest", "notify", "onPeerConnected",
                                 "onPeerDisconnected", "processBlockByRootChunk", "onInterval"}) {
    EXPECT_NE(zig_shim().find("pub fn " + name + "("), std::string::npos) << name;
  }
}

TEST_F(Embedding, ZigProgramWithTheZeamShimPushesFromFourThreads) {
  const std::string compiler = zig();
  if (compiler.empty()) GTEST_SKIP() << "the wheel ziglang 0.15.2 could not be installed by pip";
  tree.write("host.zig", read_file(source("host.zig")));
  tree.write("shim.zig", zig_shim());
  const std::string caches =
      " --cache-dir " + kBuild + "/zig-cache --global-cache-dir " + kBuild + "/zig-cache ";
  expect_runs("sh -c 'cd " + tree.path() + " && " + compiler + " build-exe host.zig" + include() +
              "-L" + kBuild + " -lbeamline -lc -rpath " + kBuild + caches + "'");
  const Outcome done = run("timeout 60 " + program());
  EXPECT_EQ(done.status, 0) << done.output;
  EXPECT_EQ(done.output, "head 1, 3 requests, 300 roots in one\n");
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

// Against the library of the last release, where BEAMLINE_ABI_BASELINE names it.
TEST_F(Embedding, AbidiffFindsNoIncompatibleChange) {
  if (!has("abidiff")) GTEST_SKIP() << "abidiff (package abigail-tools) is not installed";
  const char* baseline = std::getenv("BEAMLINE_ABI_BASELINE");
  if (baseline == nullptr)
    GTEST_SKIP() << "no release to compare with: BEAMLINE_ABI_BASELINE is not set";
  const Outcome compared = run("abidiff --no-added-syms " + std::string(baseline) + " " + kLibrary);
  // Bit 3: an incompatible change.
  EXPECT_EQ(compared.status & 8, 0) << compared.output;
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
