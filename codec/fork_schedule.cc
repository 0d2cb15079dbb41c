#include "codec/fork_schedule.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "codec/hex.h"
#include "crypto/sha256.h"

namespace beamline {
namespace {

ChainConfig make_mainnet() {
  ChainConfig config;
  config.genesis_validators_root =
      *parse_hash256("4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95");
  // consensus-specs configs/mainnet.yaml.
  config.forks = {{Fork::phase0, 0, {0}},         {Fork::altair, 74240, {1}},
                  {Fork::bellatrix, 144896, {2}}, {Fork::capella, 194048, {3}},
                  {Fork::deneb, 269568, {4}},     {Fork::electra, 364032, {5}},
                  {Fork::fulu, 411392, {6}}};
  config.blob_schedule = {{412672, 15}, {419072, 21}};
  return config;
}

// Forks stand in their order, from phase0 on, and begin in it.
bool in_order(const std::vector<ChainConfig::ForkEpoch>& forks) {
  if (forks.empty() || forks[0].epoch != 0) return false;
  for (size_t i = 0; i < forks.size(); ++i) {
    if (forks[i].fork != static_cast<Fork>(i)) return false;
    if (i != 0 && forks[i].epoch < forks[i - 1].epoch) return false;
  }
  return true;
}

}  // namespace

ForkDigest compute_fork_digest(const ForkVersion& version, const Root& genesis_validators_root,
                               const BlobParameters& blobs) {
  ForkDigest digest = compute_fork_digest(version, genesis_validators_root);
  std::array<uint8_t, 16> numbers;
  std::memcpy(numbers.data(), &blobs.epoch, 8);
  std::memcpy(numbers.data() + 8, &blobs.max_blobs_per_block, 8);
  const Hash256 mask = sha256(numbers);
  for (size_t i = 0; i < digest.bytes.size(); ++i) {
    digest.bytes[i] = static_cast<uint8_t>(digest.bytes[i] ^ mask.bytes[i]);
  }
  return digest;
}

const ChainConfig& ChainConfig::mainnet() {
  static const ChainConfig kConfig = make_mainnet();
  return kConfig;
}

Result<ForkSchedule> ForkSchedule::make(const ChainConfig& config) {
  if (!in_order(config.forks)) return local_error(Code::invalid_argument, "forks");
  ForkSchedule schedule;
  std::vector<Period>& periods = schedule.periods_;
  const Root& root = config.genesis_validators_root;
  BlobParameters blobs;
  for (const ChainConfig::ForkEpoch& fork : config.forks) {
    if (fork.epoch == kFarFutureEpoch) break;
    Period period{fork.epoch, fork.fork, fork.version, {}, std::nullopt};
    if (fork.fork == Fork::electra) blobs = {fork.epoch, config.max_blobs_per_block_electra};
    if (fork.fork >= Fork::fulu) period.blobs = blobs;
    // Several forks may begin at once, mostly at 0: the last one is what counts.
    if (!periods.empty() && periods.back().epoch == fork.epoch) periods.pop_back();
    periods.push_back(period);
  }
  for (const BlobParameters& entry : config.blob_schedule) {
    Period period = periods.back();
    if (entry.epoch == kFarFutureEpoch) break;
    if (period.fork < Fork::fulu || entry.epoch < period.epoch) {
      return local_error(Code::unsorted, "blob_schedule");
    }
    period.blobs = entry;
    if (period.epoch == entry.epoch) periods.pop_back();
    period.epoch = entry.epoch;
    periods.push_back(period);
  }
  for (Period& period : periods) {
    period.digest = period.blobs ? compute_fork_digest(period.version, root, *period.blobs)
                                 : compute_fork_digest(period.version, root);
    if (schedule.find(period.digest) != &period) {
      return local_error(Code::invalid_argument, "forks.version");
    }
  }
  return schedule;
}

const ForkSchedule::Period& ForkSchedule::at(Epoch epoch) const {
  const auto after = std::ranges::upper_bound(periods_, epoch, {}, &Period::epoch);
  BL_CHECK(after != periods_.begin());
  return *(after - 1);
}

const ForkSchedule::Period* ForkSchedule::find(const ForkDigest& digest) const {
  const auto found = std::ranges::find(periods_, digest, &Period::digest);
  return found == periods_.end() ? nullptr : &*found;
}

const ForkSchedule::Period* ForkSchedule::next(Epoch epoch) const {
  const auto after = std::ranges::upper_bound(periods_, epoch, {}, &Period::epoch);
  return after == periods_.end() ? nullptr : &*after;
}

EnrForkId ForkSchedule::enr_fork_id(Epoch epoch) const {
  const Period& now = at(epoch);
  EnrForkId id{now.digest, now.version, kFarFutureEpoch};
  const auto later = std::ranges::find_if(periods_, [&](const Period& period) {
    return period.epoch > epoch && period.fork != now.fork;
  });
  if (later != periods_.end()) {
    id.next_fork_version = later->version;
    id.next_fork_epoch = later->epoch;
  }
  return id;
}

ForkDigest ForkSchedule::next_fork_digest(Epoch epoch) const {
  const Period* const later = next(epoch);
  return later == nullptr ? ForkDigest() : later->digest;
}

}  // namespace beamline
