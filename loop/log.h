// The log of threads that must not wait: a line goes into a bounded ring of its thread, which a log
// thread drains into a sink. What finds the ring full is dropped and counted.
//
// One Log per process at a time. A thread that wants its lines written attaches itself with a
// LogThread; without one its lines go nowhere.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <thread>

#include "base/time.h"

namespace beamline {

enum class LogLevel : uint8_t { debug, info, warning, error };
const char* name(LogLevel level);

struct LogLine {
  WallTime time;
  LogLevel level = LogLevel::info;
  std::string_view thread;
  std::string_view text;
};

// Called on the log thread, one line at a time; may block.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual void write(const LogLine& line) = 0;
  // So many lines of this thread were lost since the last call.
  virtual void dropped(std::string_view thread, uint64_t count) = 0;
  // Everything there was has been written.
  virtual void flush() {}
};

struct LogOptions {
  uint32_t lines = 1024;  // of one thread that wait to be written; a power of two
  LogLevel level = LogLevel::info;
};

struct LogStats {
  uint64_t written = 0;
  uint64_t dropped = 0;
  uint64_t refused_threads = 0;  // more than kMaxThreads
};

class LogRing;

class Log {
 public:
  static constexpr uint32_t kMaxThreads = 64;
  static constexpr size_t kMaxText = 240;  // bytes of a line; the rest of a longer one is cut

  // Starts the log thread. REQUIRES: no other Log lives, lines a power of two up to 2^20.
  explicit Log(LogSink& sink, const LogOptions& options = {});
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  // Writes what is left. REQUIRES: no thread is attached.
  ~Log();

  // Any thread.
  LogStats stats() const;

 private:
  friend class LogThread;
  friend void log_line(LogLevel level, const char* format, ...);
  void run();
  bool drain(LogRing& ring);
  void poke();

  LogSink& sink_;
  const LogOptions options_;
  const int wake_;  // eventfd
  std::array<std::atomic<LogRing*>, kMaxThreads> rings_{};
  std::atomic<bool> poked_{false};
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> written_{0};
  std::atomic<uint64_t> dropped_{0};
  std::atomic<uint64_t> refused_{0};
  std::thread thread_;
};

// The calling thread writes to the process's log, if there is one, while this lives. Its lines bear
// `name` (at most 15 characters are kept). Allocates; for the start of a thread.
class LogThread {
 public:
  explicit LogThread(std::string_view name);
  LogThread(const LogThread&) = delete;
  LogThread& operator=(const LogThread&) = delete;
  ~LogThread();

 private:
  Log* log_ = nullptr;
};

// As printf. Neither blocks nor allocates.
[[gnu::format(printf, 2, 3)]] void log_line(LogLevel level, const char* format, ...);

}  // namespace beamline
