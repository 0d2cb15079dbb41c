// A child process whose output goes to a file. Ended by its own id, with its descendants.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

namespace beamline::interop {

class Process {
 public:
  // Runs `arguments[0]` with stdout and stderr in `output`, in a process group of its own.
  Process(std::vector<std::string> arguments, std::string output);
  ~Process() { stop(8'000); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // SIGTERM, then SIGKILL to the whole group after `patience_ms` (0: SIGKILL alone). Returns the
  // exit status, or minus the signal that ended it.
  int stop(int patience_ms);
  // Waits for its own end. Returns as stop() does; stops it when the time is over.
  int wait(int timeout_ms);
  bool running();
  // All that it has printed so far.
  std::string text() const;

 private:
  bool reap(bool block);
  pid_t pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
  std::string output_;
};

std::string read_file(const std::string& path);

}  // namespace beamline::interop
