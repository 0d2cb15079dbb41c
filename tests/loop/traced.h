// Runs a program of the tests under strace.
#pragma once

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

namespace beamline {

struct Outcome {
  int status = -1;
  std::string output;
};

inline Outcome run(const std::string& command) {
  Outcome outcome;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return outcome;
  std::array<char, 4096> part;
  while (const size_t n = fread(part.data(), 1, part.size(), pipe)) {
    outcome.output.append(part.data(), n);
  }
  outcome.status = pclose(pipe);
  return outcome;
}

// Why there can be no trace here; empty where there can.
inline std::string why_no_trace() {
  if (run("command -v strace").status != 0) return "strace is not installed";
  if (run("strace -o /dev/null true 2>&1").status != 0) {
    return "strace may not trace here (ptrace is forbidden)";
  }
  return "";
}

// The lines of `strace -f OPTIONS program`, each begins with the thread's id.
inline std::vector<std::string> trace(const std::string& options, const std::string& program) {
  const std::string file = testing::TempDir() + "trace." + std::to_string(getpid());
  const Outcome traced = run("strace -f " + options + " -o " + file + " " + program + " 2>&1");
  EXPECT_EQ(traced.status, 0) << traced.output;
  std::vector<std::string> lines;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  std::remove(file.c_str());
  return lines;
}

// What a program writes to be found in its trace (cut short where another thread comes between).
inline bool is_mark(const std::string& line) {
  return line.find("write(2, \"\", 0") != std::string::npos;
}

// Between its first two marks, which one thread makes.
struct Marked {
  std::vector<std::string>::const_iterator begin, end;
  std::string thread;  // how each of its lines begins
};
inline void find_marked(const std::vector<std::string>& lines, Marked& marked) {
  marked.begin = std::ranges::find_if(lines, is_mark);
  ASSERT_NE(marked.begin, lines.end());
  marked.end = std::find_if(marked.begin + 1, lines.end(), is_mark);
  ASSERT_NE(marked.end, lines.end());
  marked.thread = marked.begin->substr(0, marked.begin->find(' ') + 1);
  EXPECT_TRUE(marked.end->starts_with(marked.thread)) << *marked.begin << "\n" << *marked.end;
}

}  // namespace beamline
