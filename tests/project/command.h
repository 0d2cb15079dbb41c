// Runs a command line and keeps what it printed; a temporary tree of files.
#pragma once

#include <string>
#include <string_view>

namespace beamline::test {

struct Outcome {
  int status = -1;     // exit status; 128 + signal where one ended it
  std::string output;  // stdout and stderr, in the order written
};

// Runs `command` with sh, without stdin.
Outcome run(const std::string& command);

// The top of the source tree.
std::string top();
std::string read_file(const std::string& path);

// A directory that is removed with all that is in it.
class TemporaryTree {
 public:
  TemporaryTree();
  ~TemporaryTree();
  TemporaryTree(const TemporaryTree&) = delete;
  TemporaryTree& operator=(const TemporaryTree&) = delete;

  const std::string& path() const { return path_; }
  // Writes root/`name`, with the folders on the way; returns its path.
  std::string write(std::string_view name, std::string_view text, bool executable = false) const;

 private:
  std::string path_;
};

}  // namespace beamline::test
