#include "discovery/ip_limits.h"

#include <bit>

#include "base/check.h"

namespace beamline::discovery {
namespace {

// The IPv4 address, also of an IPv4-mapped IPv6 one.
bool as_v4(Bytes address, uint32_t& out) {
  static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (address.size() == 16 && std::memcmp(address.data(), kMapped, 12) == 0) {
    address = address.subspan(12);
  }
  if (address.size() != 4) return false;
  out = uint32_t{address[0]} << 24 | uint32_t{address[1]} << 16 | uint32_t{address[2]} << 8 |
        address[3];
  return true;
}

uint64_t first_64(Bytes address) {
  uint64_t value = 0;
  std::memcpy(&value, address.data(), 8);
  return std::byteswap(value);
}

bool v4_in(uint32_t address, uint32_t network, unsigned bits) {
  return (address ^ network) >> (32 - bits) == 0;
}

enum class Scope : uint8_t { global, lan, loopback };

Scope scope_of(const Endpoint& endpoint) {
  const Bytes address = endpoint.address();
  uint32_t v4 = 0;
  if (as_v4(address, v4)) {
    if (v4 >> 24 == 127) return Scope::loopback;
    const bool lan = v4 >> 24 == 10 || v4_in(v4, 0xac100000, 12) || v4_in(v4, 0xc0a80000, 16) ||
                     v4_in(v4, 0xa9fe0000, 16);
    return lan ? Scope::lan : Scope::global;
  }
  if (address.size() != 16) return Scope::global;
  if (first_64(address) == 0 && first_64(address.subspan(8)) == 1) return Scope::loopback;
  const bool lan = (address[0] & 0xfe) == 0xfc || (address[0] == 0xfe && address[1] >> 6 == 2);
  return lan ? Scope::lan : Scope::global;
}

}  // namespace

uint64_t subnet_of(const Endpoint& endpoint) {
  if (scope_of(endpoint) != Scope::global) return 0;
  const Bytes address = endpoint.address();
  uint32_t v4 = 0;
  if (as_v4(address, v4)) return uint64_t{1} << 56 | v4 >> 8;
  if (address.size() != 16) return 0;
  return uint64_t{2} << 56 | first_64(address) >> 16;
}

uint64_t address_key(const Endpoint& endpoint) {
  const Bytes address = endpoint.address();
  uint32_t v4 = 0;
  if (as_v4(address, v4)) return uint64_t{1} << 63 | v4;
  return address.size() == 16 ? first_64(address) | 1 : 0;
}

bool is_lan(const Endpoint& endpoint) { return scope_of(endpoint) != Scope::global; }

bool is_usable(const Endpoint& endpoint) {
  const Bytes address = endpoint.address();
  if (address.empty() || endpoint.port() == 0) return false;
  uint32_t v4 = 0;
  if (as_v4(address, v4)) return v4 >> 24 != 0 && v4 >> 28 < 14;
  if (address[0] == 0xff) return false;
  return first_64(address) != 0 || first_64(address.subspan(8)) != 0;
}

bool relay_allowed(const Endpoint& sender, const Endpoint& told) {
  return scope_of(told) <= scope_of(sender);
}

size_t SubnetCounts::home(uint64_t subnet) const {
  const auto product = static_cast<unsigned __int128>(subnet ^ seed_) * 0x9e3779b97f4a7c15u;
  return (static_cast<size_t>(product >> 64) ^ static_cast<size_t>(product)) & (slots_.size() - 1);
}

size_t SubnetCounts::count(uint64_t subnet) const {
  if (subnet == 0 || slots_.empty()) return 0;
  for (size_t i = home(subnet); slots_[i].subnet != 0; i = (i + 1) & (slots_.size() - 1)) {
    if (slots_[i].subnet == subnet) return slots_[i].count;
  }
  return 0;
}

void SubnetCounts::add(uint64_t subnet) {
  if (subnet == 0) return;
  if ((used_ + 1) * 4 > slots_.size() * 3) grow();
  size_t i = home(subnet);
  while (slots_[i].subnet != 0 && slots_[i].subnet != subnet) i = (i + 1) & (slots_.size() - 1);
  if (slots_[i].subnet == 0) ++used_;
  slots_[i].subnet = subnet;
  ++slots_[i].count;
}

void SubnetCounts::remove(uint64_t subnet) {
  if (subnet == 0) return;
  const size_t mask = slots_.size() - 1;
  size_t i = home(subnet);
  while (slots_[i].subnet != subnet) {
    BL_CHECK(slots_[i].subnet != 0);
    i = (i + 1) & mask;
  }
  if (--slots_[i].count > 0) return;
  --used_;
  for (size_t j = (i + 1) & mask; slots_[j].subnet != 0; j = (j + 1) & mask) {
    if (((j - home(slots_[j].subnet)) & mask) >= ((j - i) & mask)) {
      slots_[i] = slots_[j];
      i = j;
    }
  }
  slots_[i] = Slot{};
}

void SubnetCounts::grow() {
  std::vector<Slot> old(slots_.empty() ? 16 : slots_.size() * 2);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.subnet == 0) continue;
    size_t i = home(slot.subnet);
    while (slots_[i].subnet != 0) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = slot;
  }
}

}  // namespace beamline::discovery
