// Every command that README shows is one that runs in a test, or that CI runs.
#include <regex>
#include <set>
#include <sstream>

#include "tests/project/command.h"

namespace beamline::test {
namespace {

// The command lines of README's ```sh blocks, without comments and empty lines.
std::vector<std::string> readme_commands() {
  std::istringstream text(read_file(top() + "/README.md"));
  std::vector<std::string> commands;
  bool inside = false;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with("```")) {
      inside = line == "```sh";
      continue;
    }
    line = std::regex_replace(line, std::regex("(^|\\s+)#.*$|\\s+$"), "");
    if (inside && !line.empty()) commands.push_back(line);
  }
  return commands;
}

// Each command, and where it runs: a new one in README needs a test, then a line here.
const std::map<std::string, std::string> kRunsElsewhere = {
    {"./dev test", ".ci/run; it cannot run inside itself"},
    {"./dev test --long", "before a release"},
    {"./dev test base", "its parts: Dev.*"},
    {"./dev run", "the program's own tests, and Lodestar.*"},
    {"build/release/beamline follow --genesis DIR --peer MULTIADDR", "Lodestar.*"},
    {"./dev bench", "BenchRunner.*"},
    {"./dev lint", "Lint.ThisTreeIsClean"},
};

TEST(Readme, EveryCommandInItRunsInATest) {
  const std::vector<std::string> commands = readme_commands();
  EXPECT_GE(commands.size(), 2u);
  for (const std::string& command : commands) {
    EXPECT_TRUE(kRunsElsewhere.contains(command)) << "no test runs: " << command;
  }
}

TEST(Readme, ItsDevCommandsExist) {
  const std::string help = run("cd " + top() + " && ./dev help").output;
  for (const std::string& command : readme_commands()) {
    std::istringstream words(command);
    std::string program, name;
    words >> program >> name;
    if (program != "./dev") continue;
    EXPECT_NE(help.find("./dev " + name), std::string::npos) << command;
  }
}

TEST(Readme, TheFilesItLinksToExist) {
  const std::string text = read_file(top() + "/README.md");
  const std::regex link("\\]\\(([^)#:]+)\\)");
  for (std::sregex_iterator it(text.begin(), text.end(), link), end; it != end; ++it) {
    const std::string path = top() + "/" + (*it)[1].str();
    EXPECT_EQ(run("test -e '" + path + "'").status, 0) << path;
  }
}

TEST(Readme, TheOptionsOfFollowAreThoseThatItTakes) {
  std::istringstream text(read_file(top() + "/README.md"));
  const std::string code =
      read_file(top() + "/node/follow.cc") + read_file(top() + "/node/backend_option.h");
  const std::regex option("\"(--[a-z-]+)\", (options\\.|text_)");
  std::set<std::string> taken;
  for (std::sregex_iterator it(code.begin(), code.end(), option), end; it != end; ++it) {
    taken.insert((*it)[1]);
  }
  std::set<std::string> told;
  const std::regex row("^\\| `(--[a-z-]+) .*$");
  for (std::string line; std::getline(text, line);) {
    std::smatch match;
    if (std::regex_match(line, match, row)) told.insert(match[1]);
  }
  EXPECT_EQ(told, taken);
}

TEST(Readme, CiRunsTheTests) {
  EXPECT_NE(read_file(top() + "/.ci/run").find("./dev test"), std::string::npos);
  EXPECT_EQ(run("test -x " + top() + "/.ci/run").status, 0);
}

}  // namespace
}  // namespace beamline::test
