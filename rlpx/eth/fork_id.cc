#include "rlpx/eth/fork_id.h"

#include <algorithm>

#include "base/bytes.h"

namespace beamline::eth {
namespace {

// What is larger may be a time: mainnet's genesis was then.
constexpr uint64_t kFirstTime = 1'438'269'973;

// CRC-32 (IEEE 802.3), bit by bit: a few dozen bytes at start-up.
uint32_t crc32(uint32_t sum, Bytes bytes) {
  sum = ~sum;
  for (const uint8_t byte : bytes) {
    sum ^= byte;
    for (int bit = 0; bit < 8; ++bit) sum = sum >> 1 ^ (0xedb88320u & (0u - (sum & 1u)));
  }
  return ~sum;
}

template <size_t kSize, class Number>
std::array<uint8_t, kSize> big_endian(Number number) {
  std::array<uint8_t, kSize> bytes;
  for (size_t i = 0; i < kSize; ++i) {
    bytes[i] = static_cast<uint8_t>(number >> (8 * (kSize - 1 - i)));
  }
  return bytes;
}

// Appends what is after `least`, in order and once.
bool append(std::span<const uint64_t> forks, uint64_t least, std::vector<uint64_t>& out) {
  uint64_t before = 0;
  for (const uint64_t fork : forks) {
    if (fork < before) return false;
    if (fork > least && fork != before) out.push_back(fork);
    before = fork;
  }
  return true;
}

}  // namespace

Result<ForkFilter> ForkFilter::make(const Hash256& genesis, uint64_t genesis_time,
                                    std::span<const uint64_t> block_forks,
                                    std::span<const uint64_t> time_forks) {
  ForkFilter filter;
  if (!append(block_forks, 0, filter.forks_)) {
    return local_error(Code::invalid_argument, "fork_id.block_forks");
  }
  filter.block_forks_ = filter.forks_.size();
  if (!append(time_forks, genesis_time, filter.forks_)) {
    return local_error(Code::invalid_argument, "fork_id.time_forks");
  }
  uint32_t sum = crc32(0, genesis.view());
  filter.sums_.push_back(big_endian<4>(sum));
  for (const uint64_t fork : filter.forks_) {
    sum = crc32(sum, big_endian<8>(fork));
    filter.sums_.push_back(big_endian<4>(sum));
  }
  return filter;
}

ForkId ForkFilter::at(const Head& head) const {
  size_t count = 0;
  while (count < forks_.size() && passed(count, head)) ++count;
  return {sums_[count], count < forks_.size() ? forks_[count] : 0};
}

std::span<const std::array<uint8_t, 4>> ForkFilter::latest(size_t most) const {
  return std::span(sums_).last(std::min(most, sums_.size()));
}

Status ForkFilter::check(const ForkId& remote, const Head& head) const {
  size_t ours = 0;
  while (ours < forks_.size() && passed(ours, head)) ++ours;
  if (remote.hash == sums_[ours]) {
    // The same forks; but one that it announces and we have passed without knowing it, is not ours.
    if (remote.next != 0 &&
        (head.number >= remote.next || (remote.next > kFirstTime && head.time >= remote.next))) {
      return bad_input(Code::mismatch, "fork_id.next");
    }
    return {};
  }
  // It is behind: it must know of the fork that comes next for it.
  for (size_t i = 0; i < ours; ++i) {
    if (remote.hash != sums_[i]) continue;
    if (remote.next == forks_[i]) return {};
    return bad_input(Code::mismatch, "fork_id.next");
  }
  // It is ahead, on forks that we know.
  for (size_t i = ours + 1; i < sums_.size(); ++i) {
    if (remote.hash == sums_[i]) return {};
  }
  return bad_input(Code::mismatch, "fork_id.hash");
}

}  // namespace beamline::eth
