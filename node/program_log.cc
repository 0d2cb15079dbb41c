#include "node/program_log.h"

#include <chrono>
#include <cstdio>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "loop/flight_recorder.h"

namespace beamline {
namespace {

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::off;
}

class SpdlogSink final : public LogSink {
 public:
  SpdlogSink() : logger_("beamline", std::make_shared<spdlog::sinks::stderr_color_sink_st>()) {
    logger_.set_pattern("%Y-%m-%dT%H:%M:%S.%fZ %^%l%$ %v", spdlog::pattern_time_type::utc);
    logger_.set_level(spdlog::level::debug);
  }
  void write(const LogLine& line) override {
    using Clock = std::chrono::system_clock;
    const Clock::time_point time(
        std::chrono::duration_cast<Clock::duration>(std::chrono::nanoseconds(line.time.ns)));
    logger_.log(time, {}, level_of(line.level), fmt::format("{}: {}", line.thread, line.text));
  }
  void dropped(std::string_view thread, uint64_t count) override {
    logger_.warn("{}: {} lines dropped: the log was too slow", thread, count);
  }
  void flush() override { logger_.flush(); }

 private:
  spdlog::logger logger_;
};

}  // namespace

std::unique_ptr<LogSink> make_spdlog_sink() { return std::make_unique<SpdlogSink>(); }

ProgramLog::ProgramLog()
    : sink_(make_spdlog_sink()),
      log_(std::make_unique<Log>(*sink_)),
      thread_(std::make_unique<LogThread>("main")) {
  dump_flight_on_check();
  if (auto watchdog = Watchdog::start()) watchdog_ = std::move(*watchdog);
}

ProgramLog::~ProgramLog() {
  watchdog_.reset();
  thread_.reset();
}

}  // namespace beamline
