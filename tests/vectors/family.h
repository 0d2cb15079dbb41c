// Official vectors, by family: where they lie, and the line that each family's test prints for
// `./dev vectors`, which adds them up (scripts/vectors.py):
//   vectors: <family>: passed 12, failed 0, skipped 1 (why)
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace beamline {

// BEAMLINE_VECTORS; or, where it is not set, the folder beside a checkout that has them.
inline std::filesystem::path vectors_folder() {
  if (const char* set = std::getenv("BEAMLINE_VECTORS"); set != nullptr) return set;
  return std::filesystem::path(BEAMLINE_SOURCE_DIR).parent_path() / "shared" / "vectors";
}

// The files below it whose names end so, in order.
inline std::vector<std::filesystem::path> vector_files(std::string_view suffix) {
  std::vector<std::filesystem::path> paths;
  std::error_code error;  // a folder that is not there has none
  for (const auto& entry : std::filesystem::recursive_directory_iterator(vectors_folder(), error)) {
    if (entry.path().string().ends_with(suffix)) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

class VectorFamily {
 public:
  explicit VectorFamily(std::string name) : name_(std::move(name)) {}
  ~VectorFamily() {
    if (empty()) return;
    std::string reasons;
    for (const std::string& reason : reasons_) reasons += (reasons.empty() ? " (" : "; ") + reason;
    if (!reasons.empty()) reasons += ")";
    std::printf("vectors: %s: passed %zu, failed %zu, skipped %zu%s\n", name_.c_str(), passed_,
                failed_, skipped_, reasons.c_str());
  }
  VectorFamily(const VectorFamily&) = delete;
  VectorFamily& operator=(const VectorFamily&) = delete;

  void count(bool passed) { ++(passed ? passed_ : failed_); }
  void skip(const std::string& reason) {
    ++skipped_;
    reasons_.insert(reason);
  }
  size_t passed() const { return passed_; }
  bool empty() const { return passed_ + failed_ + skipped_ == 0; }

 private:
  std::string name_;
  size_t passed_ = 0;
  size_t failed_ = 0;
  size_t skipped_ = 0;
  std::set<std::string> reasons_;
};

}  // namespace beamline
