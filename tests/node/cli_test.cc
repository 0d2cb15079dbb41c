#include "node/cli.h"

#include <array>
#include <cstdio>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "loop/socket.h"
#include "node/latency.h"

namespace beamline {
namespace {

struct Parsed {
  std::optional<std::string> wrong;
  uint64_t port = 7;
  std::string file = "none";
  bool loud = false;
};

Parsed parse(std::vector<const char*> arguments) {
  Parsed parsed;
  CommandOptions options("test");
  options.number("--port", parsed.port, 1, 65'535, "a port");
  options.text("--file", parsed.file, "a file");
  options.flag("--loud", parsed.loud, "more output");
  parsed.wrong = options.parse(arguments);
  return parsed;
}

TEST(CliTest, OptionsAreReadInBothForms) {
  const Parsed parsed = parse({"--port", "80", "--file=a=b", "--loud"});
  EXPECT_FALSE(parsed.wrong) << *parsed.wrong;
  EXPECT_EQ(parsed.port, 80u);
  EXPECT_EQ(parsed.file, "a=b");
  EXPECT_TRUE(parsed.loud);
  EXPECT_EQ(parse({}).port, 7u);
}

TEST(CliTest, WhatIsWrongIsNamedWithWhatWouldBeRight) {
  EXPECT_EQ(parse({"--prot", "80"}).wrong, "unknown option '--prot'; valid: --port --file --loud");
  EXPECT_EQ(parse({"stray"}).wrong, "unknown option 'stray'; valid: --port --file --loud");
  EXPECT_EQ(parse({"--port"}).wrong, "--port needs a value");
  EXPECT_EQ(parse({"--loud=1"}).wrong, "--loud takes no value");
  EXPECT_EQ(parse({"--port", "1", "--port=2"}).wrong, "--port stands twice");
  for (const char* value : {"0", "65536", "", "-1", "+1", " 1", "1 ", "1x", "0x10", "1e3",
                            "99999999999999999999999999"}) {
    EXPECT_EQ(parse({"--port", value}).wrong,
              "--port is '" + std::string(value) + "'; it must be a whole number from 1 to 65535");
  }
}

TEST(LatencyTest, BucketsHoldTheirValueWithinASixteenth) {
  for (int64_t ns = 0; ns < INT64_MAX / 3; ns = ns * 3 / 2 + 1) {
    const size_t bucket = LatencyHistogram::bucket_of({ns});
    ASSERT_LT(bucket, LatencyHistogram::kBuckets);
    const int64_t limit = LatencyHistogram::limit_of(bucket).ns;
    EXPECT_GE(limit, ns);
    EXPECT_LE(limit - ns, ns / 16 + 1);
  }
  EXPECT_LT(LatencyHistogram::bucket_of({INT64_MAX}), LatencyHistogram::kBuckets);
  EXPECT_EQ(LatencyHistogram::bucket_of({-5}), 0u);
}

TEST(LatencyTest, PercentilesOfWhatWasRecordedBetweenTwoReadings) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.read().percentile(500'000), Duration{});
  histogram.record(seconds(5));
  const LatencyCounts before = histogram.read();
  for (int i = 1; i <= 1000; ++i) histogram.record(microseconds(i));
  const LatencyCounts counts = histogram.read().since(before);
  EXPECT_EQ(counts.total(), 1000u);
  EXPECT_NEAR(static_cast<double>(counts.percentile(500'000).ns), 500e3, 35e3);
  EXPECT_NEAR(static_cast<double>(counts.percentile(990'000).ns), 990e3, 65e3);
  EXPECT_GE(counts.percentile(1'000'000), milliseconds(1));
}

// ---- The program

struct Outcome {
  int status = -1;
  std::string output;
};

Outcome run_line(const std::string& line) {
  Outcome outcome;
  FILE* pipe = popen((line + " 2>&1").c_str(), "r");
  std::array<char, 4096> part;
  while (const size_t n = fread(part.data(), 1, part.size(), pipe)) {
    outcome.output.append(part.data(), n);
  }
  const int status = pclose(pipe);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

Outcome run(const std::string& arguments) { return run_line(BEAMLINE_PROGRAM " " + arguments); }

TEST(ProgramTest, WrongCommandLinesExitWith2) {
  for (const char* wrong : {"", "sing", "echo --nothing", "echo --size 0", "echo --seconds 1x"}) {
    const Outcome outcome = run(wrong);
    EXPECT_EQ(outcome.status, 2) << wrong;
    EXPECT_FALSE(outcome.output.empty()) << wrong;
  }
  EXPECT_NE(run("sing").output.find("unknown command 'sing'; valid: echo"), std::string::npos);
  EXPECT_EQ(run("--help").status, 0);
  EXPECT_EQ(run("echo --help").status, 0);
}

TEST(ProgramTest, EchoPrintsALineASecondAndATotal) {
  const Outcome outcome = run("echo --seconds 1 --connections 3 --size 1000");
  EXPECT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_NE(outcome.output.find("1 s "), std::string::npos) << outcome.output;
  EXPECT_NE(outcome.output.find("total"), std::string::npos) << outcome.output;
  EXPECT_NE(outcome.output.find("messages of 1000 bytes echoed on 3 connections"),
            std::string::npos)
      << outcome.output;
}

TEST(ProgramTest, TheEchoCommandsOfReadmeRun) {
  std::ifstream readme(BEAMLINE_README);
  const std::string program = "build/release/beamline";
  int count = 0;
  for (std::string line; std::getline(readme, line);) {
    const size_t at = line.find(program + " echo ");
    if (at != 0 && !line.starts_with("BEAMLINE_RING_MASK=6.1 " + program)) continue;
    line.replace(at, program.size(), BEAMLINE_PROGRAM);
    const Outcome outcome = run_line(line.substr(0, line.find('#')));
    EXPECT_EQ(outcome.status, 0) << line << "\n" << outcome.output;
    const bool epoll = line.find("--backend epoll") != std::string::npos;
    EXPECT_NE(outcome.output.find(epoll ? " by epoll: " : " by "), std::string::npos)
        << outcome.output;
    ++count;
  }
  EXPECT_EQ(count, 3);
}

TEST(ProgramTest, EchoNamesAPortThatIsInUse) {
  const Socket taken = *socket::listen_tcp(Endpoint::loopback(0), 1, socket::Mode::blocking);
  const std::string port = std::to_string(socket::local_endpoint(taken).port());
  const Outcome outcome = run("echo --seconds 1 --port " + port);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_NE(outcome.output.find("port " + port + " is in use"), std::string::npos)
      << outcome.output;
}

// The program has mimalloc in place of malloc, but for sanitizers, which bring theirs.
TEST(ProgramTest, UsesMimallocWhereNoSanitizerIsOn) {
#if defined(BEAMLINE_SANITIZED)
  constexpr bool kExpected = false;
#else
  constexpr bool kExpected = true;
#endif
  const Outcome needed = run_line("readelf -d " BEAMLINE_PROGRAM);
  ASSERT_EQ(needed.status, 0) << needed.output;
  EXPECT_EQ(needed.output.find("libmimalloc") != std::string::npos, kExpected) << needed.output;
}

}  // namespace
}  // namespace beamline
