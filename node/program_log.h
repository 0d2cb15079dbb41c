// The log of the program: lines of all threads on stderr through spdlog, stalls and the stacks of
// stuck turns among them.
#pragma once

#include <memory>

#include "loop/log.h"
#include "loop/watchdog.h"

namespace beamline {

// While it lives, lines go to stderr. Made before any reactor, on the main thread, which it
// attaches; from then on a failed check writes the flight recorder.
class ProgramLog {
 public:
  ProgramLog();
  ~ProgramLog();

 private:
  std::unique_ptr<LogSink> sink_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<LogThread> thread_;
  std::unique_ptr<Watchdog> watchdog_;
};

// A sink for the log that writes through spdlog, colours and all.
std::unique_ptr<LogSink> make_spdlog_sink();

}  // namespace beamline
