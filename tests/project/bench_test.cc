// The runner of the benchmarks, on a fake benchmark program whose times are known.
#include "tests/project/command.h"

namespace beamline::test {
namespace {

// Each call of a side takes the next of its times (its file), and logs the side.
constexpr const char* kFake = R"(#!/bin/sh
dir=$(dirname "$0")
for argument in "$@"; do
  case $argument in
    --benchmark_filter=*) filter=${argument#--benchmark_filter=} ;;
  esac
done
name=$(printf %s "$filter" | tr -d '^$')
printf '%s ' "$name" >>"$dir/order"
case $name in
  BM_Dead) echo dead >&2; exit 3 ;;
  BM_Text) echo hello; exit 0 ;;
  BM_Away) echo '{"benchmarks": [{"name": "BM_Away", "error_occurred": true,' \
             '"error_message": "absent: libfoo"}]}'; exit 0 ;;
  BM_None) echo '{"benchmarks": []}'; exit 0 ;;
esac
time=$(head -n 1 "$dir/$name")
sed -i 1d "$dir/$name"
printf '{"benchmarks": [{"name": "%s", "run_type": "iteration", "cpu_time": %s,' "$name" "$time"
printf ' "time_unit": "us", "wakes": %s, "items_per_second": 7}]}' "$time"
)";

std::string lines_of_ones() { return "1\n1\n1\n1\n1\n1\n1\n1\n1\n"; }

struct Runner {
  TemporaryTree tree;
  Outcome run_manifest(const std::string& rows) {
    tree.write("fake", kFake, true);
    const std::string manifest = tree.write("area.json", "{\"rows\": [" + rows + "]}");
    return run("python3 -B " + top() + "/scripts/bench.py --programs " + tree.path() + " --out " +
               tree.path() + "/out/area.json " + manifest);
  }
  // What was written, through an expression over `rows`.
  std::string written(const std::string& expression) {
    return run("python3 -B -c 'import json; rows = json.load(open(\"" + tree.path() +
               "/out/area.json\")); print(" + expression + ")'")
        .output;
  }
};

constexpr const char* kPair = R"({"id": "a.b", "name": "pair", "metric": "cpu_time", "unit": "ns",
  "ours": {"program": "fake", "filter": "BM_Ours"},
  "theirs": {"program": "fake", "filter": "BM_Theirs"},
  "against": "a mutex", "ratio": "theirs/ours", "goal": ">= 2.5"})";

TEST(BenchRunner, TakesTheMedianOfTheRatiosOfRounds) {
  Runner runner;
  // The machine slows down by ten in the last five rounds: the ratio of each round stays.
  runner.tree.write("BM_Ours", "1\n1\n1\n1\n10\n10\n10\n10\n10\n");
  runner.tree.write("BM_Theirs", "3\n3\n2\n3\n30\n30\n40\n30\n30\n");
  const Outcome outcome = runner.run_manifest(kPair);
  EXPECT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_EQ(runner.written("[rows[0][k] for k in (\"ratio\", \"min\", \"max\", \"rounds\")]"),
            "[3.0, 2.0, 4.0, 9]\n");
  // Microseconds become nanoseconds.
  EXPECT_EQ(runner.written("rows[0][\"value\"], rows[0][\"unit\"]"), "10000.0 ns\n");
  EXPECT_EQ(
      runner.written("sorted(rows[0])"),
      "['against', 'goal', 'id', 'max', 'min', 'name', 'ratio', 'rounds', 'unit', 'value']\n");
  EXPECT_NE(outcome.output.find("met"), std::string::npos) << outcome.output;
}

TEST(BenchRunner, AlternatesWhoGoesFirst) {
  Runner runner;
  runner.tree.write("BM_Ours", lines_of_ones());
  runner.tree.write("BM_Theirs", lines_of_ones());
  runner.run_manifest(kPair);
  EXPECT_EQ(read_file(runner.tree.path() + "/order").substr(0, 36),
            "BM_Ours BM_Theirs BM_Theirs BM_Ours ");
}

TEST(BenchRunner, ARivalThatIsNotInstalledIsPrintedAsAbsent) {
  Runner runner;
  runner.tree.write("BM_Ours", lines_of_ones());
  std::string row = kPair;
  row.replace(row.find("BM_Theirs"), 9, "BM_Away");
  const Outcome outcome = runner.run_manifest(row);
  EXPECT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_NE(outcome.output.find("a.b: absent: libfoo"), std::string::npos) << outcome.output;
  EXPECT_EQ(runner.written("rows"), "[]\n");
}

TEST(BenchRunner, AMissedGoalIsShownAndDoesNotFail) {
  Runner runner;
  runner.tree.write("BM_Ours", lines_of_ones());
  runner.tree.write("BM_Theirs", lines_of_ones());
  const Outcome outcome = runner.run_manifest(kPair);
  EXPECT_EQ(outcome.status, 0);
  EXPECT_NE(outcome.output.find("MISSED"), std::string::npos) << outcome.output;
}

TEST(BenchRunner, ARowThatMissesOrLosesSaysWhy) {
  const std::string row(kPair, std::string_view(kPair).size() - 1);
  const auto run_with = [&](const char* theirs, const std::string& goal) {
    Runner runner;
    runner.tree.write("BM_Ours", lines_of_ones());
    runner.tree.write("BM_Theirs", theirs);
    const std::string changed =
        row.substr(0, row.rfind(">=")) + goal + R"(", "why": "a profile says so"})";
    return runner.run_manifest(changed).output.find("why a.b: a profile says so");
  };
  const char* threes = "3\n3\n3\n3\n3\n3\n3\n3\n3\n";
  const char* halves = "0.5\n0.5\n0.5\n0.5\n0.5\n0.5\n0.5\n0.5\n0.5\n";
  EXPECT_NE(run_with(halves, ">= 2.5"), std::string::npos);
  EXPECT_EQ(run_with(threes, ">= 2.5"), std::string::npos);
  EXPECT_NE(run_with(halves, "printed"), std::string::npos);
  EXPECT_EQ(run_with(threes, "printed"), std::string::npos);
}

TEST(BenchRunner, AValueRowHasNoRatio) {
  Runner runner;
  runner.tree.write("BM_Wakes", "0.01\n0.02\n0.03\n");
  const Outcome outcome = runner.run_manifest(
      R"({"id": "a.wakes", "name": "wakes", "metric": "wakes", "unit": "1/msg", "rounds": 3,
          "ours": {"program": "fake", "filter": "BM_Wakes"}, "goal": "<= 0.02"})");
  EXPECT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_EQ(runner.written("[rows[0][k] for k in "
                           "(\"value\", \"ratio\", \"rounds\", \"min\", \"max\", \"against\")]"),
            "[0.02, None, None, None, None, None]\n");
  EXPECT_NE(outcome.output.find("met"), std::string::npos) << outcome.output;
}

TEST(BenchRunner, AFailedProgramFailsTheRunAndKeepsTheOtherRows) {
  for (const char* name : {"BM_Dead", "BM_Text", "BM_None"}) {
    Runner runner;
    runner.tree.write("BM_Ours", lines_of_ones());
    runner.tree.write("BM_Theirs", lines_of_ones());
    const Outcome outcome = runner.run_manifest(
        std::string(R"({"id": "a.bad", "name": "x", "metric": "wakes", "unit": "1", "goal": "= 1",
                        "ours": {"program": "fake", "filter": ")") +
        name + "\"}}, " + kPair);
    EXPECT_EQ(outcome.status, 1) << name;
    EXPECT_NE(outcome.output.find("a.bad"), std::string::npos) << outcome.output;
    EXPECT_EQ(runner.written("[row[\"id\"] for row in rows]"), "['a.b']\n");
  }
}

TEST(BenchRunner, AWrongManifestNamesTheRowAndTheValidKeys) {
  Runner runner;
  const std::string pair = kPair;
  struct Case {
    const char *from, *to, *says;
  };
  for (const Case& wrong :
       {Case{"\"ratio\"", "\"ration\"", "valid: "}, Case{"theirs/ours", "ours", "ours/theirs"},
        Case{">= 2.5", "fast", "'<= x'"},
        Case{"\"goal\": ", "\"rounds\": 8, \"goal\": ", "at least 9"},
        Case{"\"cpu_time\"", "\"joules\"", "wakes"}}) {
    runner.tree.write("BM_Ours", lines_of_ones());
    runner.tree.write("BM_Theirs", lines_of_ones());
    std::string rows = pair;
    rows.replace(rows.find(wrong.from), std::string_view(wrong.from).size(), wrong.to);
    const Outcome outcome = runner.run_manifest(rows);
    EXPECT_EQ(outcome.status, 1) << wrong.to;
    EXPECT_NE(outcome.output.find("a.b: "), std::string::npos) << outcome.output;
    EXPECT_NE(outcome.output.find(wrong.says), std::string::npos) << outcome.output;
  }
}

TEST(BenchRunner, TheManifestsOfThisTreeAreWellFormed) {
  const Outcome outcome =
      run("cd " + top() +
          "/scripts && python3 -B -c \"import bench, glob, json\n"
          "for path in glob.glob('../bench/*.json'):\n"
          "    for row in json.load(open(path))['rows']: bench.check_row(row)\"");
  EXPECT_EQ(outcome.status, 0) << outcome.output;
}

// The gate, with a fake valgrind that counts what it is told.
TEST(BenchInstructions, ACountOverItsLimitFails) {
  struct Case {
    const char* count;
    int status;
    const char* says;
  };
  for (const Case& expected : {Case{"1000", 0, "met"}, Case{"1001", 1, "OVER by 0.1 %"},
                               Case{"500", 0, "lower the limit"}, Case{"0", 1, "was not called"}}) {
    const TemporaryTree tree;
    tree.write("valgrind",
               std::string("#!/bin/sh\nfor a in \"$@\"; do case $a in "
                           "--callgrind-out-file=*) echo \"summary: ") +
                   expected.count + "\" >\"${a#*=}\" ;; esac; done\n",
               true);
    std::string row = kPair;
    row.insert(row.rfind('}'), R"(, "instructions": {"function": "BM_Ours", "at_most": 1000})");
    const std::string manifest = tree.write("area.json", "{\"rows\": [" + row + "]}");
    const Outcome outcome =
        run("PATH=" + tree.path() + ":$PATH python3 -B " + top() + "/scripts/instructions.py" +
            " --programs " + tree.path() + " --out " + tree.path() + "/out.json " + manifest);
    EXPECT_EQ(outcome.status, expected.status) << outcome.output;
    EXPECT_NE(outcome.output.find(expected.says), std::string::npos) << outcome.output;
  }
}

}  // namespace
}  // namespace beamline::test
