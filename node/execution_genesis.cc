#include "node/execution_genesis.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "codec/hex.h"
#include "codec/rlp.h"
#include "codec/trie_root.h"
#include "crypto/keccak.h"
#include "crypto/sha256.h"

namespace beamline::node {
namespace {

using Json = nlohmann::json;

// One file's values, with messages that name their place.
class Fields {
 public:
  Fields(std::string path, const Json& json) : path_(std::move(path)), json_(json) {}

  [[noreturn]] void fail(const std::string& key, const std::string& what) const {
    throw std::runtime_error(path_ + ": " + key + " " + what);
  }
  const Json* find(const std::string& key) const {
    const auto it = json_.find(key);
    return it == json_.end() || it->is_null() ? nullptr : &*it;
  }
  // A JSON number, or a string of digits, with 0x in hexadecimal.
  uint64_t uint(const std::string& key, uint64_t missing) const {
    const Json* value = find(key);
    if (value == nullptr) return missing;
    if (value->is_number_unsigned()) return value->get<uint64_t>();
    if (!value->is_string()) fail(key, "must be a number");
    const std::string& text = value->get_ref<const std::string&>();
    char* end = nullptr;
    errno = 0;
    const uint64_t number = std::strtoull(text.c_str(), &end, text.starts_with("0x") ? 16 : 10);
    if (text.empty() || *end != 0 || errno != 0) fail(key, "must be a number of 64 bits");
    return number;
  }
  // Hex digits of any number, an odd one included; 0x may stand in front.
  std::vector<uint8_t> bytes(const std::string& key) const {
    const Json* value = find(key);
    if (value == nullptr) return {};
    if (!value->is_string()) fail(key, "must be a string of hex digits");
    return hex(key, value->get<std::string>());
  }
  std::vector<uint8_t> hex(const std::string& key, std::string text) const {
    if (text.starts_with("0x")) text.erase(0, 2);
    if (text.size() % 2 != 0) text.insert(0, 1, '0');
    std::vector<uint8_t> out(text.size() / 2);
    if (!parse_hex_into(text, out)) fail(key, "must be hex digits");
    return out;
  }
  // Right-aligned in `size` bytes.
  std::vector<uint8_t> padded(const std::string& key, size_t size) const {
    std::vector<uint8_t> digits = bytes(key);
    if (digits.size() > size) fail(key, "has more than " + std::to_string(size) + " bytes");
    digits.insert(digits.begin(), size - digits.size(), 0);
    return digits;
  }
  Fields at(const std::string& key) const {
    const Json* value = find(key);
    if (value == nullptr || !value->is_object()) fail(key, "must be an object");
    return {path_ + ": " + key, *value};
  }
  const Json& json() const { return json_; }

 private:
  std::string path_;
  const Json& json_;
};

Hash256 storage_root(const Fields& account) {
  std::vector<TrieEntry> entries;
  if (account.find("storage") != nullptr) {
    const Fields storage = account.at("storage");
    for (const auto& [slot, value] : storage.json().items()) {
      std::vector<uint8_t> key = storage.hex(slot, slot);
      key.insert(key.begin(), 32 - std::min<size_t>(key.size(), 32), 0);
      std::vector<uint8_t> word = storage.bytes(slot);
      word.erase(word.begin(), std::find_if(word.begin(), word.end(), [](uint8_t b) { return b; }));
      if (word.empty()) continue;  // a zero is not stored
      TrieEntry entry{keccak256(key), {}};
      rlp::Writer(entry.value).string(word);
      entries.push_back(std::move(entry));
    }
  }
  return trie_root(entries);
}

Hash256 state_root(const Fields& alloc) {
  std::vector<TrieEntry> entries;
  for (const auto& [address, ignored] : alloc.json().items()) {
    const Fields account = alloc.at(address);
    const std::vector<uint8_t> key = alloc.hex(address, address);
    if (key.size() != 20) alloc.fail(address, "is not an address of 20 bytes");
    TrieEntry entry{keccak256(key), {}};
    rlp::Writer writer(entry.value);
    const auto mark = writer.begin_list();
    writer.uint(account.uint("nonce", 0));
    const Json* balance = account.find("balance");
    const bool decimal = balance != nullptr && balance->is_string() &&
                         !balance->get_ref<const std::string&>().starts_with("0x");
    if (decimal) {
      writer.uint(account.uint("balance", 0));
    } else {
      writer.big_uint(account.bytes("balance"));
    }
    writer.string(storage_root(account).view());
    writer.string(keccak256(account.bytes("code")).view());
    writer.end_list(mark);
    entries.push_back(std::move(entry));
  }
  return trie_root(entries);
}

// Forks by block number that geth's config names, in their order.
constexpr const char* kBlockForks[] = {
    "homesteadBlock",    "daoForkBlock",     "eip150Block",         "eip155Block",
    "eip158Block",       "byzantiumBlock",   "constantinopleBlock", "petersburgBlock",
    "istanbulBlock",     "muirGlacierBlock", "berlinBlock",         "londonBlock",
    "arrowGlacierBlock", "grayGlacierBlock", "mergeNetsplitBlock"};
constexpr const char* kTimeForks[] = {"shanghaiTime", "cancunTime",   "pragueTime", "osakaTime",
                                      "bpo1Time",     "bpo2Time",     "bpo3Time",   "bpo4Time",
                                      "bpo5Time",     "amsterdamTime"};

void read_forks(const Fields& config, uint64_t genesis_difficulty, ExecutionGenesis& out) {
  constexpr uint64_t kNever = UINT64_MAX;
  out.chain_id = config.uint("chainId", 1);
  chain::HeaderForks& forks = out.forks;
  forks.london_block = config.uint("londonBlock", kNever);
  forks.shanghai_time = config.uint("shanghaiTime", kNever);
  forks.cancun_time = config.uint("cancunTime", kNever);
  forks.prague_time = config.uint("pragueTime", kNever);
  forks.amsterdam_time = config.uint("amsterdamTime", kNever);
  // The merge comes by total difficulty, which headers alone do not say: it is at genesis, or when
  // that has the difficulty that is waited for; else the configuration must name the block.
  const Json* total = config.find("terminalTotalDifficulty");
  const bool huge = total != nullptr && total->is_number_float();  // over 64 bits, as mainnet's
  const uint64_t terminal = huge ? kNever : config.uint("terminalTotalDifficulty", kNever);
  forks.merge_block = config.uint("mergeNetsplitBlock", kNever);
  if (terminal <= genesis_difficulty) forks.merge_block = genesis_difficulty == 0 ? 0 : 1;
  for (const char* fork : kBlockForks) {
    const uint64_t block = config.uint(fork, kNever);
    if (block != kNever) out.block_forks.push_back(block);
  }
  for (const char* fork : kTimeForks) {
    const uint64_t time = config.uint(fork, kNever);
    if (time == kNever) continue;
    out.time_forks.push_back(time);
    const std::string name = std::string(fork).substr(0, std::string_view(fork).size() - 4);
    if (config.find("blobSchedule") == nullptr) continue;
    const Fields schedule = config.at("blobSchedule");
    if (schedule.find(name) == nullptr) continue;
    const Fields blobs = schedule.at(name);
    forks.blobs.push_back({time, blobs.uint("target", 0), blobs.uint("max", 0),
                           blobs.uint("baseFeeUpdateFraction", 1),
                           time >= config.uint("osakaTime", kNever)});
  }
  if (forks.cancun_time != kNever &&
      (forks.blobs.empty() || forks.blobs.front().timestamp > forks.cancun_time)) {
    config.fail("blobSchedule", "must say what holds from cancunTime on");
  }
}

void write_header(const Fields& genesis, const Hash256& state, ExecutionGenesis& out) {
  const chain::HeaderForks& forks = out.forks;
  const uint64_t time = genesis.uint("timestamp", 0);
  const std::vector<uint8_t> zeros(256);
  rlp::Writer writer(out.encoding);
  const auto mark = writer.begin_list();
  writer.string(genesis.padded("parentHash", 32));
  writer.string(kEmptyOmmersHash.view());
  writer.string(genesis.padded("coinbase", 20));
  writer.string(state.view());
  writer.string(kEmptyTrieRoot.view());
  writer.string(kEmptyTrieRoot.view());
  writer.string(zeros);
  writer.big_uint(genesis.bytes("difficulty"));
  writer.uint(0);
  writer.uint(genesis.uint("gasLimit", 0));
  writer.uint(genesis.uint("gasUsed", 0));
  writer.uint(time);
  writer.string(genesis.bytes("extraData"));
  writer.string(genesis.padded("mixHash", 32));
  writer.string(genesis.padded("nonce", 8));
  if (forks.london_block == 0) writer.uint(genesis.uint("baseFeePerGas", 1'000'000'000));
  if (forks.shanghai_time <= time) writer.string(kEmptyTrieRoot.view());
  if (forks.cancun_time <= time) {
    writer.uint(genesis.uint("blobGasUsed", 0));
    writer.uint(genesis.uint("excessBlobGas", 0));
    writer.string(genesis.padded("parentBeaconBlockRoot", 32));
  }
  if (forks.prague_time <= time) writer.string(sha256({}).view());  // EIP-7685: no requests
  writer.end_list(mark);
}

}  // namespace

eth::ForkFilter ExecutionGenesis::fork_filter() const {
  const auto filter = eth::ForkFilter::make(hash, header.timestamp, block_forks, time_forks);
  if (!filter) throw std::runtime_error("the forks of the genesis file are not in order");
  return *filter;
}

ExecutionGenesis read_execution_genesis(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error(path + ": cannot be read; --genesis takes geth's genesis.json");
  const Json json = Json::parse(in, nullptr, false);
  if (!json.is_object()) throw std::runtime_error(path + ": is not a JSON object");
  const Fields genesis(path, json);
  ExecutionGenesis out;
  read_forks(genesis.at("config"), genesis.uint("difficulty", 0), out);
  write_header(genesis, state_root(genesis.at("alloc")), out);
  const auto header = ExecutionHeader::decode(out.encoding);
  if (!header) throw std::runtime_error(path + ": " + to_string(header.error()));
  out.hash = header->hash();
  out.header = chain::ParentHeader::of(*header, out.hash);
  return out;
}

}  // namespace beamline::node
