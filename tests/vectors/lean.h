// The vectors of leanSpec, below the folder `lean` of vectors_folder(). A vector's family is read
// from what is in it; scripts/vectors.py does the same for families that no test reads yet.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/vectors/family.h"

namespace beamline::lean_vectors {

using Json = nlohmann::json;

struct Case {
  std::filesystem::path path;
  Json json;
  std::string name() const { return path.stem().string(); }
  // What is to be refused.
  bool is_rejection() const { return json.contains("rejectionReason"); }
};

inline std::string family_of(const Json& json) {
  if (json.contains("typeName")) return "lean/ssz";
  if (json.contains("codec")) {
    const Json& codec = json.at("codec");
    const std::string kind = codec.at("kind");
    return "lean/" + (kind == "decode_failure" ? codec.at("decoder").get<std::string>() : kind);
  }
  if (json.contains("anchorState")) return "lean/fork_choice";
  if (json.contains("blocks")) return "lean/state_transition";
  if (json.contains("finalizedSlot")) return "lean/justifiability";
  if (json.contains("operation")) return json.contains("config") ? "lean/slot_clock" : "lean/sync";
  return "lean/other";
}

// Calls `run(case)` for each vector of the family, which gives whether it is as the vector says;
// the vector's name stands in front of what it reports. Skips the test where there is no such
// folder.
template <class Run>
void each(const std::string& family_name, Run run) {
  VectorFamily family(family_name);
  for (const std::filesystem::path& path : vector_files(".json")) {
    std::ifstream file(path);
    Case one{path, Json::parse(file, nullptr, false)};
    if (!one.json.is_object() || !one.json.contains("leanEnv")) continue;
    if (family_of(one.json) != family_name) continue;
    SCOPED_TRACE(one.name());
    const bool passed = run(one);
    family.count(passed);
    EXPECT_TRUE(passed);
  }
  if (family.empty()) {
    GTEST_SKIP() << "no vectors of " << family_name << " in " << vectors_folder()
                 << " (set BEAMLINE_VECTORS)";
  }
}

}  // namespace beamline::lean_vectors
