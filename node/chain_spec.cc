#include "node/chain_spec.h"

#include <charconv>
#include <fstream>
#include <map>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "codec/genesis_state.h"
#include "codec/hex.h"

namespace beamline::node {
namespace {

using Json = nlohmann::json;

[[noreturn]] void fail(const std::string& file, const std::string& what) {
  throw std::runtime_error(file + ": " + what);
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) fail(path, "cannot be read; --genesis takes the directory that has it");
  return {std::istreambuf_iterator<char>(in), {}};
}

template <size_t N>
std::array<uint8_t, N> hex_value(const std::string& file, const std::string& key,
                                 const std::string& text) {
  std::array<uint8_t, N> out;
  if (!parse_hex_into(text, out)) {
    fail(file, key + " must be 0x and " + std::to_string(2 * N) + " hex digits");
  }
  return out;
}

uint64_t number(const std::string& file, const std::string& key, const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    fail(file, key + " must be a number, it is '" + text + "'");
  }
  return value;
}

// The flat "KEY: value" lines of a consensus configuration; quotes around a value are dropped.
std::map<std::string, std::string> read_config(const std::string& path) {
  std::map<std::string, std::string> values;
  std::string text = read_file(path);
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    const size_t colon = line.find(": ");
    if (colon == std::string::npos || line.starts_with('#')) continue;
    std::string value = line.substr(colon + 2);
    std::erase_if(value, [](char c) { return c == '\'' || c == '"' || c == '\r'; });
    values[line.substr(0, colon)] = value;
  }
  return values;
}

std::string json_text(const std::string& file, const Json& json, const char* key) {
  const auto at = json.find(key);
  if (at == json.end()) fail(file, std::string(key) + " is missing");
  return at->is_string() ? at->get<std::string>() : at->dump();
}

// Of the block that a genesis state belongs to.
Root root_of_state(const std::string& path, const Preset& preset) {
  const BeaconTypes types(preset);
  const std::string state = read_file(path);
  const auto root = genesis_block_root(types, as_bytes(state));
  if (!root) fail(path, "is not a phase0 genesis state: " + to_string(root.error()));
  return *root;
}

}  // namespace

ChainSpec load_chain_spec(const std::string& directory) {
  ChainSpec spec;
  const std::string network_file = directory + "/network.json";
  Json json;
  try {
    json = Json::parse(read_file(network_file));
  } catch (const Json::exception& e) {
    fail(network_file, e.what());
  }
  const auto text = [&](const char* key) { return json_text(network_file, json, key); };
  const uint64_t genesis_time = number(network_file, "genesis_time", text("genesis_time"));
  if (genesis_time > 1'000'000'000'0) fail(network_file, "genesis_time must be Unix seconds");
  spec.genesis_time = WallTime::from_unix(static_cast<int64_t>(genesis_time));
  spec.genesis_validators_root =
      Root{hex_value<32>(network_file, "genesis_validators_root", text("genesis_validators_root"))};
  spec.genesis_fork_version =
      hex_value<4>(network_file, "genesis_fork_version", text("genesis_fork_version"));

  const std::string config_file = directory + "/config.yaml";
  const std::map<std::string, std::string> config = read_config(config_file);
  const auto value = [&](const char* key) {
    const auto at = config.find(key);
    if (at == config.end()) fail(config_file, std::string(key) + " is missing");
    return at->second;
  };
  spec.preset = Preset::find(value("PRESET_BASE"));
  if (spec.preset == nullptr) fail(config_file, "PRESET_BASE must be mainnet or minimal");
  const uint64_t slot = number(config_file, "SECONDS_PER_SLOT", value("SECONDS_PER_SLOT"));
  if (slot == 0 || slot > 3600) fail(config_file, "SECONDS_PER_SLOT must be 1 to 3600");
  spec.slot_duration = seconds(static_cast<int64_t>(slot));
  if (json.contains("genesis_block_root")) {
    spec.genesis_block_root =
        Root{hex_value<32>(network_file, "genesis_block_root", text("genesis_block_root"))};
  } else {
    spec.genesis_block_root = root_of_state(directory + "/genesis.ssz", *spec.preset);
  }
  return spec;
}

}  // namespace beamline::node
