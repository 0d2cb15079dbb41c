// Lint on trees that break one rule each.
#include <set>
#include <sstream>

#include "tests/project/command.h"

namespace beamline::test {
namespace {

struct Sample {
  const char* name;  // of the test case
  const char* rule;
  const char* path;
  std::string text;
  int line;  // where the finding must be
};

void PrintTo(const Sample& sample, std::ostream* out) { *out << sample.name; }

std::string lines(int count, const std::string& line) {
  std::string text;
  for (int i = 0; i < count; ++i) text += line + "\n";
  return text;
}

// A path that must not stand in this file as it is written there.
std::string joined(const char* a, const char* b) { return std::string(a) + b; }

// What waits for another thread.
std::vector<Sample> lock_samples() {
  return {
      {"Mutex", "no-lock", "loop/a.cc", "#include <atomic>\nstd::mutex m;\n", 2},
      {"MutexHeader", "no-lock", "gossip/a.h", "#include <mutex>\n", 1},
      {"ConditionVariable", "no-lock", "chain/a.h",
       "struct A {\n  std::condition_variable c;\n};\n", 2},
      {"LockGuard", "no-lock", "reqresp/a.cc", "void f() {\n  std::lock_guard g(m);\n}\n", 2},
      {"Semaphore", "no-lock", "chain/a.h", "struct A {\n  std::counting_semaphore<4> s;\n};\n", 2},
      {"BinarySemaphore", "no-lock", "loop/a.cc", "std::binary_semaphore s{0};\n", 1},
      {"SemaphoreHeader", "no-lock", "crypto/a.h", "#include <semaphore>\n", 1},
      {"PosixSemaphore", "no-lock", "codec/a.cc", "void f() { sem_wait(&s); }\n", 1},
      {"Latch", "no-lock", "discovery/a.cc", "std::latch l(2);\n", 1},
      {"LatchHeader", "no-lock", "rlpx/a.cc", "#include <latch>\n", 1},
      {"Barrier", "no-lock", "libp2p/a.cc", "std::barrier b(2);\n", 1},
      {"PthreadBarrier", "no-lock", "reqresp/a.cc", "void f() { pthread_barrier_wait(&b); }\n", 1},
      {"AtomicSharedPtr", "no-atomic-shared-ptr", "libp2p/a.h",
       "std::atomic<std::shared_ptr<int>> p;\n", 1},
  };
}

std::vector<Sample> other_samples() {
  return {
      {"StdFunction", "no-std-function", "codec/a.h", "std::function<void()> f;\n", 1},
      {"RandomHeader", "no-std-random", "crypto/a.cc", "#include <random>\n", 1},
      {"Distribution", "no-std-random", "gossip/a.cc", "std::uniform_int_distribution<int> d;\n",
       1},
      {"Rand", "no-std-random", "discovery/a.cc", "int f() { return rand(); }\n", 1},
      {"Shuffle", "no-std-random", "gossip/a.cc", "void f() { std::shuffle(a, b, c); }\n", 1},
      {"SleepFor", "no-sleep", "loop/a.cc", "void f() { std::this_thread::sleep_for(t); }\n", 1},
      {"Usleep", "no-sleep", "rlpx/a.cc", "void f() { usleep(5); }\n", 1},
      {"SteadyClock", "no-clock", "gossip/a.cc", "auto t = std::chrono::steady_clock::now();\n", 1},
      {"ClockGettime", "no-clock", "chain/a.cc", "void f() { clock_gettime(0, &t); }\n", 1},
      {"TimeNull", "no-clock", "reqresp/a.cc", "long f() { return time(nullptr); }\n", 1},
      {"EvpSha256", "no-implicit-fetch", "crypto/a.cc", "auto* m = EVP_sha256();\n", 1},
      {"EvpChacha", "no-implicit-fetch", "crypto/a.cc", "auto* m = EVP_chacha20_poly1305();\n", 1},
      {"OneShotSha256", "no-implicit-fetch", "codec/a.cc", "void f() { SHA256(a, 1, b); }\n", 1},
      {"Throw", "no-exceptions", "codec/a.cc", "void f() { throw 1; }\n", 1},
      {"TryCatch", "no-exceptions", "chain/a.cc",
       "void f() {\n  try {\n  } catch (...) {\n  }\n}\n", 2},
      {"Iostream", "no-iostream", "loop/a.cc", "#include <iostream>\n", 1},
      {"Cerr", "no-iostream", "node/a.cc", "void f() { std::cerr << 1; }\n", 1},
      {"PointerKeys", "no-pointer-order", "gossip/a.h", "std::map<const Peer*, int> m;\n", 1},
      {"Liburing", "one-liburing", "loop/reactor.cc", "#include <liburing.h>\n", 1},
      {"LiburingHeader", "one-liburing", "node/a.h", "#include <liburing.h>\n", 1},
      {"ChainUsesLoop", "layers", "chain/a.h", "#include \"loop/timer.h\"\n", 1},
      {"CryptoUsesCodec", "layers", "crypto/a.h", "#include \"codec/hex.h\"\n", 1},
      {"BaseUsesLoop", "layers", "base/a.h", "#include \"loop/op.h\"\n", 1},
      {"GossipUsesNode", "layers", "gossip/a.cc", "#include \"node/app.h\"\n", 1},
      {"RelativeInclude", "layers", "codec/a.cc", "#include \"../base/bytes.h\"\n", 1},
      {"BareInclude", "layers", "codec/a.cc", "#include \"hex.h\"\n", 1},
      {"WalkOfUnorderedMember", "no-unordered-walk", "gossip/mesh.cc",
       "std::unordered_map<int, int> peers_;\nvoid f() {\n  for (auto& [k, v] : peers_) g(k, "
       "v);\n}\n",
       3},
      {"WalkOfUnorderedAlias", "no-unordered-walk", "gossip/mesh.cc",
       "using Peers = std::unordered_set<int>;\nPeers peers;\nvoid f() {\n"
       "  for (int p : this->peers) g(p);\n}\n",
       4},
      {"WalkByIterator", "no-unordered-walk", "chain/a.cc",
       "std::unordered_set<int> roots;\nauto first = roots.begin();\n", 2},
      {"LongFile", "file-size", "codec/a.cc", lines(701, "int x;"), 1},
      {"LongScript", "file-size", "scripts/a.py", lines(701, "x = 1"), 1},
      {"LongFunction", "function-size", "codec/a.cc",
       "namespace a {\nint f(int x,\n      int y) {\n" + lines(70, "  ++x;") + "}\n}\n", 2},
      {"LongMethod", "function-size", "codec/a.h",
       "class A {\n  A() : a{0}, b(1) {\n" + lines(70, "    g();") + "  }\n};\n", 2},
      {"LongTest", "function-size", "tests/codec/a_test.cc",
       "TEST(A, B) {\n" + lines(70, "  g();") + "}\n", 1},
      {"UnlistedTest", "unlisted-test", "tests/codec/a_test.cc", "int x;\n", 1},
      {"HomePath", "elsewhere", "README.md", joined("See /ho", "me/me/beamline.\n"), 1},
      {"RegistryHost", "elsewhere", "tests/interop/package-lock.json",
       joined("{\n\"resolved\": \"https://registry.npm", "js.org/a/-/a-1.tgz\"\n}\n"), 2},
      {"CratesHost", "elsewhere", "Cargo.lock",
       joined("source = \"registry+https://github.com/rust-lang/crates", ".io-index\"\n"), 1},
      {"WaiverWithoutReason", "waiver", "codec/a.cc",
       joined("int x;  // lint: al", "low(no-lock)\n"), 1},
      {"WaiverOfNoRule", "waiver", "codec/a.cc",
       joined("int x;  // lint: al", "low(no-such-rule): because\n"), 1},
      {"Format", "format", "codec/a.cc", "int   f( ) ;\n", 1},
  };
}

std::vector<Sample> samples() {
  std::vector<Sample> all = lock_samples();
  for (Sample& sample : other_samples()) all.push_back(std::move(sample));
  return all;
}

Outcome lint(const TemporaryTree& tree) {
  return run("python3 -B " + top() + "/scripts/lint.py --root " + tree.path());
}

class LintSample : public testing::TestWithParam<Sample> {};

TEST_P(LintSample, IsCaught) {
  const Sample& sample = GetParam();
  const TemporaryTree tree;
  tree.write(".clang-format", std::string(sample.rule) == "format"
                                  ? "BasedOnStyle: Google\n"
                                  : "DisableFormat: true\nSortIncludes: Never\n");
  tree.write(sample.path, sample.text);
  const Outcome outcome = lint(tree);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_NE(outcome.output.find(std::string(sample.path) + ":" + std::to_string(sample.line) +
                                ": " + sample.rule + ": "),
            std::string::npos)
      << outcome.output;
}

INSTANTIATE_TEST_SUITE_P(Lint, LintSample, testing::ValuesIn(samples()),
                         [](const auto& sample) { return std::string(sample.param.name); });

TEST(Lint, EveryRuleHasASample) {
  std::set<std::string> sampled;
  for (const Sample& sample : samples()) sampled.insert(sample.rule);
  std::istringstream rules(run("python3 -B " + top() + "/scripts/lint.py --list").output);
  size_t count = 0;
  for (std::string rule; rules >> rule; ++count) EXPECT_TRUE(sampled.contains(rule)) << rule;
  EXPECT_EQ(count, sampled.size());
}

TEST(Lint, PassesWhatIsAllowed) {
  const TemporaryTree tree;
  tree.write("loop/ring.cc", "#include <liburing.h>\n\n#include \"base/error.h\"\n");
  tree.write("gossip/mesh.cc",
             "#include \"libp2p/host.h\"\n"
             "// A std::mutex in a comment, and \"rand()\".\n"
             "const char* text = \"throw std::mutex /* */ rand() {\";\n"
             "const char quote = '\"';\n"
             "std::unordered_map<int, int> peers_;\n"
             "std::vector<int> sorted_;\n"
             "void f() {\n  for (int p : sorted_) peers_.erase(p);\n}\n");
  tree.write("loop/order.h", "struct Order {\n  int latch, barrier, semaphore;\n};\n");
  tree.write("node/main.cc", "int main() {\n  try {\n  } catch (...) {\n  }\n}\n");
  tree.write("tests/loop/a_test.cc", "#include <mutex>\n#include <random>\n");
  tree.write("tests/loop/CMakeLists.txt", "beamline_test(test_a SOURCES a_test.cc ../b_test.cc)\n");
  tree.write("tests/b_test.cc", "int x;\n");
  tree.write("codec/table.cc", "const int table[] = {\n" + lines(200, "    1,") + "};\n");
  tree.write("codec/exactly.cc", "void f() {\n" + lines(68, "  g();") + "}\n");
  const Outcome outcome = lint(tree);
  EXPECT_EQ(outcome.status, 0) << outcome.output;
}

TEST(Lint, AWaiverWithAReasonExcusesOneLine) {
  const TemporaryTree tree;
  const std::string allow = "// lint: allow";
  tree.write("loop/log.cc",
             allow + "(no-lock): the log thread's own\nstd::mutex a;\n\nstd::mutex b;\n");
  const Outcome outcome = lint(tree);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.output.find("loop/log.cc:2"), std::string::npos) << outcome.output;
  EXPECT_NE(outcome.output.find("loop/log.cc:4: no-lock"), std::string::npos) << outcome.output;
}

TEST(Lint, ALongFunctionWithAReasonPasses) {
  const TemporaryTree tree;
  const std::string allow = "// lint: allow";
  tree.write("codec/a.cc", allow + "(function-size): one case per code\nint f(int x) {\n" +
                               lines(90, "  ++x;") + "}\n");
  EXPECT_EQ(lint(tree).status, 0);
}

TEST(Lint, ThisTreeIsClean) {
  const Outcome outcome = run("cd " + top() + " && python3 -B scripts/lint.py");
  EXPECT_EQ(outcome.status, 0) << outcome.output;
}

}  // namespace
}  // namespace beamline::test
