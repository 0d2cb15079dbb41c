// The command line: `beamline COMMAND [OPTION...]`. A wrong one is answered with what would have
// been right, and the exit status 2.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace beamline {

inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;

// Arguments after the name of the program or command.
using Arguments = std::span<const char* const>;

struct Command {
  std::string_view name;
  std::string_view summary;
  int (*run)(Arguments arguments);  // returns the exit status
};

// Runs the command that the first argument names.
int run_command(std::span<const Command> commands, Arguments arguments);

// What a command says on stderr before it ends: `beamline COMMAND: what`. Each returns the exit
// status.
class CommandErrors {
 public:
  explicit constexpr CommandErrors(const char* command) : command_(command) {}
  int fail(const std::string& what) const;
  int usage(const std::string& what) const;  // the arguments are wrong

 private:
  const char* command_;
};
// In words, with the cure where there is one. For commands that take --listen.
std::string explain(const Error& error);

// The options of one command, as `--name value`, `--name=value` or, for a flag, `--name`. Each is
// declared with the variable it sets, which holds its default. The variables outlive parse().
class CommandOptions {
 public:
  explicit CommandOptions(std::string_view command) : command_(command) {}

  // A whole number within [low, high].
  void number(std::string_view name, uint64_t& value, uint64_t low, uint64_t high,
              std::string_view help);
  void text(std::string_view name, std::string& value, std::string_view help);
  // May stand several times.
  void texts(std::string_view name, std::vector<std::string>& values, std::string_view help);
  void flag(std::string_view name, bool& value, std::string_view help);

  // Null when all is well, else what is wrong with the arguments, in one line.
  std::optional<std::string> parse(Arguments arguments);
  // parse(), with the answer to --help on stdout and the error on stderr. Returns the exit status
  // if the command must not run.
  std::optional<int> parse_or_explain(Arguments arguments);
  std::string usage() const;

 private:
  struct Option {
    std::string_view name;
    std::string_view help;
    uint64_t* number = nullptr;
    std::string* text = nullptr;
    std::vector<std::string>* texts = nullptr;
    bool* flag = nullptr;
    uint64_t low = 0;
    uint64_t high = 0;
    bool given = false;
  };
  Option* find(std::string_view name);
  std::optional<std::string> set(Option& option, std::string_view value);

  std::string command_;
  std::vector<Option> options_;
};

}  // namespace beamline
