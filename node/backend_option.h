// The option --backend of the commands that run reactors.
#pragma once

#include <optional>
#include <string>

#include "loop/backends.h"
#include "node/cli.h"

namespace beamline {

class BackendOption {
 public:
  void declare(CommandOptions& options) {
    options.text("--backend", text_, "auto, io_uring or epoll");
  }
  // After parsing: finds out what runs here. Prints what is wrong, or the one warning of auto, as
  // `beamline COMMAND: ...` on stderr. Returns the exit status if the command must not run.
  std::optional<int> resolve(const char* command);
  // REQUIRES: resolve() let the command run.
  MakeBackend maker() const { return backend_maker(kind_); }
  const char* name() const { return beamline::name(kind_); }

 private:
  std::string text_ = "auto";
  BackendKind kind_ = BackendKind::auto_;
};

}  // namespace beamline
