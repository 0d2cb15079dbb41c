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
    {"./dev test loop", "its parts: Dev.*"},
    {"build/release/beamline echo --seconds 2", "ProgramTest.TheEchoCommandsOfReadmeRun"},
    {"build/release/beamline echo --seconds 2 --backend epoll",
     "ProgramTest.TheEchoCommandsOfReadmeRun"},
    {"BEAMLINE_RING_MASK=6.1 build/release/beamline echo --seconds 2",
     "ProgramTest.TheEchoCommandsOfReadmeRun"},
    {"cmake --install build/release --prefix build/installed", "Consumer.*"},
    {"./dev test base", "its parts: Dev.*"},
    {"./dev run", "the program's own tests, and Lodestar.*"},
    {"build/release/beamline follow --genesis DIR --peer MULTIADDR", "Lodestar.*"},
    {"build/release/beamline discover --listen IP:PORT --bootnode ENODE|ENR", "Discover.*"},
    {"build/release/beamline headers --genesis FILE --data DIR --bootnode ENODE --head HASH",
     "Headers.*"},
    {"build/release/beamline serve-chain FILE.rlp --genesis FILE --listen IP:PORT", "Headers.*"},
    {"build/release/beamline sync-report --data DIR", "Headers.*"},
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

// The options of a command's table, in the section that shows it.
std::set<std::string> told_options(const std::string& section) {
  std::istringstream text(read_file(top() + "/README.md"));
  std::set<std::string> told;
  bool inside = false;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with("## ")) inside = line == "## " + section;
    if (!inside || !line.starts_with("| `--")) continue;
    const std::string names = line.substr(0, line.find(" |", 2));
    const std::regex option("`(--[a-z-]+)");
    for (std::sregex_iterator it(names.begin(), names.end(), option), end; it != end; ++it) {
      told.insert((*it)[1]);
    }
  }
  return told;
}

TEST(Readme, TheOptionsItTellsAreThoseThatTheCommandsTake) {
  const std::map<std::string, std::string> files = {{"Following a chain", "follow"},
                                                    {"Finding nodes", "discover"},
                                                    {"Syncing headers", "headers"}};
  for (const auto& [section, file] : files) {
    const std::string code =
        read_file(top() + "/node/" + file + ".cc") + read_file(top() + "/node/backend_option.h");
    const std::regex option("\"(--[a-z-]+)\",\\s+(options\\.|text_)");
    std::set<std::string> taken;
    for (std::sregex_iterator it(code.begin(), code.end(), option), end; it != end; ++it) {
      taken.insert((*it)[1]);
    }
    EXPECT_FALSE(taken.empty()) << file;
    EXPECT_EQ(told_options(section), taken) << file;
  }
}

TEST(Readme, CiRunsTheTests) {
  EXPECT_NE(read_file(top() + "/.ci/run").find("./dev test"), std::string::npos);
  EXPECT_EQ(run("test -x " + top() + "/.ci/run").status, 0);
}

}  // namespace
}  // namespace beamline::test
