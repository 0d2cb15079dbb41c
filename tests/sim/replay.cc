#include "tests/sim/replay.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "base/check.h"

namespace beamline::sim {
namespace {

std::string current;  // the command and the options; empty outside a Replay

std::string program() {
  std::error_code error;
  const std::string path = std::filesystem::read_symlink("/proc/self/exe", error).string();
  const size_t build = path.rfind("/build/");
  return build == std::string::npos ? path : path.substr(build + 1);
}

void print_current() {
  if (!current.empty()) std::fprintf(stderr, "%s\n", current.c_str());
}

class Printer final : public testing::EmptyTestEventListener {
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (result.failed()) print_current();
  }
};

// In front of gtest's own printer, so that the command is the first line of a failure.
void install() {
  static const bool installed = [] {
    testing::TestEventListeners& listeners = testing::UnitTest::GetInstance()->listeners();
    testing::TestEventListener* standard = listeners.Release(listeners.default_result_printer());
    listeners.Append(new Printer);
    if (standard != nullptr) listeners.Append(standard);
    return true;
  }();
  static_cast<void>(installed);
}

CheckHook hook_before = nullptr;

void on_check(const char* message) {
  print_current();
  if (hook_before != nullptr) hook_before(message);
}

uint64_t number(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

}  // namespace

Replay::Replay(uint64_t seed, const Options& options) {
  install();
  const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
  current = "replay: BEAMLINE_SEED=" + std::to_string(seed) + " " + program() +
            " --gtest_filter=" + test->test_suite_name() + "." + test->name() + "\n" +
            "options: " + to_string(options);
  hook_before = set_check_hook(on_check);
}

Replay::~Replay() {
  set_check_hook(hook_before);
  current.clear();
}

Options traced(Options options) {
  options.trace = number("BEAMLINE_TRACE", 0) != 0;
  return options;
}

void for_each_seed(uint64_t count, const std::function<void(uint64_t seed)>& body) {
  const uint64_t only = number("BEAMLINE_SEED", 0);
  const uint64_t last = only != 0 ? only : number("BEAMLINE_SEEDS", count);
  for (uint64_t seed = only != 0 ? only : 1; seed <= last; ++seed) {
    body(seed);
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace beamline::sim
