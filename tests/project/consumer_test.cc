// Embedding: README's examples, built against the installed tree as an embedder would build it.
#include <filesystem>
#include <fstream>

#include "tests/project/command.h"

namespace beamline::test {
namespace {

// The example in this section of README.
std::string readme_example(const std::string& section) {
  const std::string text = read_file(top() + "/README.md");
  const size_t at = text.find("\n## " + section + "\n");
  const size_t begin = text.find("```cpp\n", at);
  const size_t end = text.find("```\n", begin + 3);
  if (at == std::string::npos || begin == std::string::npos) return "";
  return text.substr(begin + 7, end - begin - 7);
}

class Consumer : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(std::filesystem::create_directory(directory));
    std::ofstream(directory + "/main.cc") << readme_example("Embedding");
    std::ofstream(directory + "/log.cc") << readme_example("The event loop");
    run("cmake --install " BEAMLINE_BUILD " --prefix " + directory + "/tree");
  }
  void TearDown() override { std::filesystem::remove_all(directory); }
  void run(const std::string& line) {
    const std::string log = directory + "/log";
    const int status = std::system((line + " >" + log + " 2>&1").c_str());
    ASSERT_EQ(status, 0) << line << "\n" << read_file(log);
  }
  void echo(const std::string& program) {
    run(top() + "/tests/project/consumer/echo.sh " + program);
    const std::string log = read_file(directory + "/log");
    EXPECT_NE(log.find("echo on 127.0.0.1:"), std::string::npos) << log;
    EXPECT_NE(log.find(": hello"), std::string::npos) << log;
  }
  const std::string directory =
      testing::TempDir() + "beamline-consumer-" + std::to_string(getpid());
};

TEST_F(Consumer, BuildsAndRunsWithFindPackage) {
  ASSERT_NE(readme_example("Embedding"), "");
  const std::string build = directory + "/build";
  run("cmake -G Ninja -S " + top() + "/tests/project/consumer -B " + build +
      " -DCMAKE_PREFIX_PATH=" + directory + "/tree -DCONSUMER_SOURCE=" + directory +
      "/main.cc -DCONSUMER_LOG_SOURCE=" + directory + "/log.cc");
  run("cmake --build " + build);
  echo(build + "/consumer");
  echo(build + "/consumer_of_loop");
  // What README promises of a turn that takes too long.
  run(build + "/consumer_log");
  const std::string log = read_file(directory + "/log");
  EXPECT_NE(log.find("a turn has been running for "), std::string::npos) << log;
  const std::string_view took = "warning slow: a turn took ";
  const size_t at = log.find(took);
  ASSERT_NE(at, std::string::npos) << log;
  EXPECT_GE(std::atof(log.c_str() + at + took.size()), 300.0) << log;
  EXPECT_NE(log.find("in one callback: posted"), std::string::npos) << log;
}

TEST_F(Consumer, BuildsAndRunsWithPkgConfig) {
  run("PKG_CONFIG_PATH=" + directory + "/tree/lib/pkgconfig:" + directory +
      "/tree/lib/x86_64-linux-gnu/pkgconfig sh -c 'c++ -std=c++23 " + directory + "/main.cc -o " +
      directory + "/consumer $(pkg-config --cflags --libs beamline)'");
  echo(directory + "/consumer");
}

TEST(ConsumerExample, IsTwentyLines) {
  EXPECT_LE(std::ranges::count(readme_example("Embedding"), '\n'), 20);
}

TEST_F(Consumer, TheInstalledTreeNamesNoSourceDirectory) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory + "/tree")) {
    // What is compiled names its sources, in assertions and for debuggers.
    const std::string name = entry.path().filename();
    if (!entry.is_regular_file() || name.ends_with(".a") || name.contains(".so")) continue;
    EXPECT_EQ(read_file(entry.path().string()).find(top()), std::string::npos) << entry.path();
  }
}

}  // namespace
}  // namespace beamline::test
