#include "node/cli.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <utility>

namespace beamline {
namespace {

std::string list(std::span<const Command> commands) {
  std::string text;
  for (const Command& command : commands) (text += ' ') += command.name;
  return text;
}

bool asks_for_help(std::string_view argument) {
  return argument == "--help" || argument == "-h" || argument == "help";
}

void print_commands(std::FILE* out, std::span<const Command> commands) {
  std::fputs("usage: beamline COMMAND [OPTION...]\n\n", out);
  for (const Command& command : commands) {
    std::fprintf(out, "  %-12.*s %.*s\n", static_cast<int>(command.name.size()),
                 command.name.data(), static_cast<int>(command.summary.size()),
                 command.summary.data());
  }
  std::fputs("\n`beamline COMMAND --help` lists the options of a command.\n", out);
}

}  // namespace

int CommandErrors::fail(const std::string& what) const {
  std::fprintf(stderr, "beamline %s: %s\n", command_, what.c_str());
  return kExitFailure;
}

int CommandErrors::usage(const std::string& what) const {
  std::fprintf(stderr, "beamline %s: %s\n", command_, what.c_str());
  return kExitUsage;
}

std::string explain(const Error& error) {
  if (error.code == Code::address_in_use) {
    return "port " + std::to_string(error.offset) + " is in use; choose another with --listen";
  }
  if (error.code == Code::io_error && error.offset != 0) {
    return std::string(error.field) + ": " + std::strerror(static_cast<int>(error.offset));
  }
  return to_string(error);
}

int run_command(std::span<const Command> commands, Arguments arguments) {
  if (arguments.empty()) {
    print_commands(stderr, commands);
    return kExitUsage;
  }
  const std::string_view name = arguments.front();
  if (asks_for_help(name)) {
    print_commands(stdout, commands);
    return 0;
  }
  for (const Command& command : commands) {
    if (command.name == name) return command.run(arguments.subspan(1));
  }
  std::fprintf(stderr, "beamline: unknown command '%s'; valid:%s\n", arguments.front(),
               list(commands).c_str());
  return kExitUsage;
}

void CommandOptions::number(std::string_view name, uint64_t& value, uint64_t low, uint64_t high,
                            std::string_view help) {
  options_.push_back({.name = name, .help = help, .number = &value, .low = low, .high = high});
}

void CommandOptions::text(std::string_view name, std::string& value, std::string_view help) {
  options_.push_back({.name = name, .help = help, .text = &value});
}

void CommandOptions::texts(std::string_view name, std::vector<std::string>& values,
                           std::string_view help) {
  options_.push_back({.name = name, .help = help, .texts = &values});
}

void CommandOptions::flag(std::string_view name, bool& value, std::string_view help) {
  options_.push_back({.name = name, .help = help, .flag = &value});
}

CommandOptions::Option* CommandOptions::find(std::string_view name) {
  for (Option& option : options_) {
    if (option.name == name) return &option;
  }
  return nullptr;
}

std::optional<std::string> CommandOptions::set(Option& option, std::string_view value) {
  if (option.text != nullptr) {
    *option.text = value;
    return std::nullopt;
  }
  if (option.texts != nullptr) {
    option.texts->emplace_back(value);
    return std::nullopt;
  }
  uint64_t parsed = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), parsed);
  if (error != std::errc{} || end != value.data() + value.size() || parsed < option.low ||
      parsed > option.high) {
    return std::string(option.name) + " is '" + std::string(value) +
           "'; it must be a whole number from " + std::to_string(option.low) + " to " +
           std::to_string(option.high);
  }
  *option.number = parsed;
  return std::nullopt;
}

std::optional<std::string> CommandOptions::parse(Arguments arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string_view argument = arguments[i];
    std::optional<std::string_view> value;
    if (const size_t equals = argument.find('='); equals != std::string_view::npos) {
      value = argument.substr(equals + 1);
      argument = argument.substr(0, equals);
    }
    const std::string name(argument);
    Option* option = find(argument);
    if (option == nullptr) {
      std::string valid;
      for (const Option& each : options_) (valid += ' ') += each.name;
      return "unknown option '" + name + "'; valid:" + valid;
    }
    if (std::exchange(option->given, true) && option->texts == nullptr)
      return name + " stands twice";
    if (option->flag != nullptr) {
      if (value) return name + " takes no value";
      *option->flag = true;
      continue;
    }
    if (!value) {
      if (++i == arguments.size()) return name + " needs a value";
      value = arguments[i];
    }
    if (auto wrong = set(*option, *value)) return wrong;
  }
  return std::nullopt;
}

std::string CommandOptions::usage() const {
  std::string text = "usage: beamline " + command_ + " [OPTION...]\n\n";
  for (const Option& option : options_) {
    std::string left = "  " + std::string(option.name);
    if (option.number != nullptr) left += " N";
    if (option.text != nullptr || option.texts != nullptr) left += " TEXT";
    left.resize(std::max<size_t>(left.size() + 2, 22), ' ');
    text += left + std::string(option.help);
    if (option.number != nullptr) {
      text += " (" + std::to_string(option.low) + " to " + std::to_string(option.high) +
              "; default " + std::to_string(*option.number) + ")";
    }
    if (option.text != nullptr && !option.text->empty()) text += " (default " + *option.text + ")";
    text += '\n';
  }
  return text;
}

std::optional<int> CommandOptions::parse_or_explain(Arguments arguments) {
  for (const char* argument : arguments) {
    if (!asks_for_help(argument) || std::string_view(argument) == "help") continue;
    std::fputs(usage().c_str(), stdout);
    return 0;
  }
  const auto wrong = parse(arguments);
  if (!wrong) return std::nullopt;
  std::fprintf(stderr, "beamline %s: %s\n", command_.c_str(), wrong->c_str());
  return kExitUsage;
}

}  // namespace beamline
