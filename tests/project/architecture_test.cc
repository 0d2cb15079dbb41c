// docs/architecture.md names files, functions and counters. Each exists, so the page cannot rot.
#include <cctype>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "tests/project/command.h"

namespace beamline::test {
namespace {

std::string page() { return read_file(top() + "/docs/architecture.md"); }

// The sources of the folders, by path from the top.
const std::map<std::string, std::string>& sources() {
  static const auto all = [] {
    std::map<std::string, std::string> found;
    for (const char* folder :
         {"base", "loop", "crypto", "codec", "libp2p", "gossip", "reqresp", "chain", "node"}) {
      for (const auto& entry :
           std::filesystem::recursive_directory_iterator(top() + "/" + folder)) {
        const std::string extension = entry.path().extension().string();
        if (extension != ".h" && extension != ".cc") continue;
        found[entry.path().string().substr(top().size() + 1)] = read_file(entry.path().string());
      }
    }
    return found;
  }();
  return all;
}

// What stands in backticks in a line.
std::vector<std::string> names_in(const std::string& line) {
  std::vector<std::string> names;
  const std::regex quoted("`([^`]+)`");
  for (std::sregex_iterator it(line.begin(), line.end(), quoted), end; it != end; ++it) {
    names.push_back((*it)[1].str());
  }
  return names;
}

// The rows of the page's tables that start with a number: number, file, and the rest.
struct Row {
  int number = 0;
  std::string file;
  std::vector<std::string> functions;
};
std::vector<Row> rows() {
  std::vector<Row> found;
  std::istringstream text(page());
  const std::regex row("^\\| (\\d+) \\| `([^`]+)` \\| (.*)$");
  for (std::string line; std::getline(text, line);) {
    std::smatch match;
    if (!std::regex_match(line, match, row)) continue;
    Row made{std::stoi(match[1]), match[2], {}};
    for (const std::string& name : names_in(match[3])) {
      if (name.ends_with("()")) made.functions.push_back(name.substr(0, name.size() - 2));
    }
    found.push_back(made);
  }
  return found;
}

TEST(Architecture, EveryFileOnThePageExists) {
  size_t files = 0;
  for (const std::string& name : names_in(page())) {
    if (!std::regex_match(name, std::regex("[a-z0-9_/]+(\\.(h|cc)|/)"))) continue;
    ++files;
    EXPECT_TRUE(std::filesystem::exists(top() + "/" + name)) << name;
  }
  EXPECT_GE(files, 20u);
}

TEST(Architecture, EveryFunctionIsDefinedInTheFileOfItsRow) {
  EXPECT_GE(rows().size(), 30u);
  for (const Row& row : rows()) {
    EXPECT_FALSE(row.functions.empty()) << row.number;
    const auto file = sources().find(row.file);
    if (file == sources().end()) {
      ADD_FAILURE() << row.file;
      continue;
    }
    for (const std::string& function : row.functions) {
      // A definition: at the start of a line after its type, with its class; in a header, indented.
      const bool header = row.file.ends_with(".h");
      const std::regex definition((header ? "\n +[^\n=.(]* " : "\n\\w[^\n=.(]*[ :]") + function +
                                  "\\(");
      EXPECT_TRUE(std::regex_search(file->second, definition)) << row.file << ": " << function;
    }
  }
}

TEST(Architecture, TheWayPassesEachFunctionOnceAndTheRowsAreInOrder) {
  std::set<std::string> passed;
  int number = 0;
  for (const Row& row : rows()) {
    EXPECT_EQ(row.number, ++number);
    for (const std::string& function : row.functions) {
      EXPECT_TRUE(passed.insert(row.file + ": " + function).second) << function;
    }
  }
}

TEST(Architecture, EveryOtherNameIsInTheSources) {
  std::set<std::string> words;
  for (const auto& [path, text] : sources()) {
    std::string word;
    for (const char c : text) {
      const bool part = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
      if (part) word += c;
      if (part || word.empty()) continue;
      words.insert(word);
      word.clear();
    }
  }
  for (std::string name : names_in(page())) {
    if (name.find('/') != std::string::npos || name.starts_with("--")) continue;
    if (name.ends_with("()")) name.resize(name.size() - 2);
    name = name.substr(name.rfind(':') + 1);
    EXPECT_TRUE(words.contains(name)) << name;
  }
}

// In the table of refusals each name in the last column counts.
TEST(Architecture, EveryCounterIsOne) {
  std::string headers;
  for (const auto& [path, text] : sources()) {
    if (path.ends_with(".h")) headers += text;
  }
  const std::string text = page();
  std::istringstream refusals(text.substr(text.find("## What can refuse it")));
  size_t counters = 0;
  for (std::string line; std::getline(refusals, line);) {
    if (!line.starts_with("| ")) continue;
    for (const std::string& name : names_in(line)) {
      ++counters;
      const std::regex member("uint64_t(, [^\n;]*>)? " + name + "(\\{\\}| = 0);");
      EXPECT_TRUE(std::regex_search(headers, member)) << name;
    }
  }
  EXPECT_GE(counters, 30u);
}

}  // namespace
}  // namespace beamline::test
