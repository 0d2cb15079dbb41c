// ./dev on command lines and machines that it cannot work with. No case here gets as far as a
// build: this test runs inside one.
#include <sstream>

#include "tests/project/command.h"

namespace beamline::test {
namespace {

Outcome dev(const std::string& arguments) { return run("cd " + top() + " && ./dev " + arguments); }

TEST(Dev, WrongCommandLinesNameTheValidOnesWithStatusTwo) {
  struct Case {
    const char *arguments, *says;
  };
  for (const Case& wrong :
       {Case{"frobnicate", "valid: run test bench fuzz vectors lint format help"},
        Case{"test --frobnicate", "valid: --long"}, Case{"test frobnicate", "valid: base"},
        Case{"test base base", "one area"}, Case{"bench frobnicate", "valid: "},
        Case{"bench --x", "valid: --instructions"}, Case{"fuzz frobnicate", "valid: "},
        Case{"fuzz 0", "not a number of seconds"}, Case{"vectors", "./dev vectors DIR"},
        Case{"vectors /frobnicate", "not a directory"}, Case{"lint --x", "unknown option '--x'"},
        Case{"format x", "too many arguments"}}) {
    const Outcome outcome = dev(wrong.arguments);
    EXPECT_EQ(outcome.status, 2) << wrong.arguments << "\n" << outcome.output;
    EXPECT_NE(outcome.output.find(wrong.says), std::string::npos) << outcome.output;
  }
}

TEST(Dev, HelpListsEveryCommand) {
  const Outcome outcome = dev("help");
  EXPECT_EQ(outcome.status, 0);
  for (const char* command : {"run", "test", "bench", "fuzz", "vectors", "lint", "format"}) {
    EXPECT_NE(outcome.output.find(std::string("./dev ") + command), std::string::npos) << command;
  }
}

TEST(Dev, KnowsEveryFolderOfTestsAsAnArea) {
  const std::string output = dev("test frobnicate").output;
  std::istringstream folders(run("cd " + top() + "/tests && ls -d */ | tr -d /").output);
  for (std::string folder; folders >> folder;) {
    if (folder == "fuzz") continue;
    if (run("test -f " + top() + "/tests/" + folder + "/CMakeLists.txt").status != 0) continue;
    EXPECT_NE(output.find(folder + " "), std::string::npos) << folder << "\n" << output;
  }
}

// A machine on which nothing is installed, as far as dpkg says.
struct BareMachine {
  TemporaryTree tree;
  explicit BareMachine(const char* user, const char* apt_get) {
    tree.write("dpkg-query", "#!/bin/sh\nexit 1\n", true);
    tree.write("id", std::string("#!/bin/sh\necho ") + user + "\n", true);
    if (apt_get != nullptr) tree.write("apt-get", apt_get, true);
  }
  Outcome dev(const std::string& arguments) const {
    return run("cd " + top() + " && PATH=" + tree.path() + ":$PATH ./dev " + arguments);
  }
};

TEST(Dev, WithoutRootItNamesTheMissingPackagesAndStops) {
  const BareMachine machine("1000", "#!/bin/sh\necho called >&2\n");
  const Outcome outcome = machine.dev("test base");
  EXPECT_EQ(outcome.status, 1);
  for (const char* package : {"cmake", "ninja-build", "g++", "liburing-dev", "clang-19"}) {
    EXPECT_NE(outcome.output.find(package), std::string::npos) << outcome.output;
  }
  EXPECT_EQ(outcome.output.find("==>"), std::string::npos) << outcome.output;
}

TEST(Dev, WithoutAptItNamesTheMissingPackagesAndStops) {
  // A PATH with the tools that every system has, and no apt.
  const TemporaryTree tools;
  for (const char* tool : {"bash", "env", "dirname", "nproc", "awk", "sort", "tr", "basename",
                           "grep", "cat", "sed", "id"}) {
    run(std::string("ln -s \"$(command -v ") + tool + ")\" " + tools.path() + "/" + tool);
  }
  const Outcome outcome = run("cd " + top() + " && PATH=" + tools.path() + " " + tools.path() +
                              "/bash ./dev test base");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_NE(outcome.output.find("no apt"), std::string::npos) << outcome.output;
  EXPECT_NE(outcome.output.find("liburing-dev"), std::string::npos) << outcome.output;
}

TEST(Dev, AsRootItInstallsWithoutQuestionsAndSaysWhat) {
  const BareMachine machine(
      "0",
      "#!/bin/sh\necho \"$DEBIAN_FRONTEND $*\" >>\"$(dirname \"$0\")/log\"\n"
      "case \"$*\" in *install*) echo 'E: no network' >&2; exit 100 ;; esac\n");
  const Outcome outcome = machine.dev("test base");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_NE(outcome.output.find("installing: "), std::string::npos) << outcome.output;
  EXPECT_NE(outcome.output.find("==> apt-get update"), std::string::npos) << outcome.output;
  // What apt said is shown when it fails.
  EXPECT_NE(outcome.output.find("E: no network"), std::string::npos) << outcome.output;
  const std::string log = read_file(machine.tree.path() + "/log");
  EXPECT_NE(log.find("noninteractive -q -y"), std::string::npos) << log;
  EXPECT_NE(log.find("liburing-dev"), std::string::npos) << log;
}

}  // namespace
}  // namespace beamline::test
