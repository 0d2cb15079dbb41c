// Limits by address: an attacker has ids for nothing, but addresses cost. Nodes of one /24 (IPv6:
// /48) are counted together; loopback and private networks are exempt. Values as in geth.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/endpoint.h"
#include "base/rng.h"

namespace beamline::discovery {

// The /24 or /48 of an address as a number; 0 for addresses that are exempt or empty.
uint64_t subnet_of(const Endpoint& endpoint);
// The address without its port as a number for throttles, IPv6 cut to its /64; 0 when empty.
uint64_t address_key(const Endpoint& endpoint);
// Private, link-local, unique-local, and loopback.
bool is_lan(const Endpoint& endpoint);
// A host that one may send to: not empty, multicast, broadcast, unspecified or reserved; port set.
bool is_usable(const Endpoint& endpoint);
// May `sender` tell us of `told`? Loopback only from loopback, LAN only from LAN or loopback.
bool relay_allowed(const Endpoint& sender, const Endpoint& told);

// How many hold each subnet; a hash table with a keyed hash. Not thread safe.
class SubnetCounts {
 public:
  explicit SubnetCounts(Rng& rng) : seed_(rng.next() | 1) {}
  size_t count(uint64_t subnet) const;
  void add(uint64_t subnet);  // 0 is not counted
  void remove(uint64_t subnet);
  size_t memory() const { return slots_.capacity() * sizeof(Slot); }

 private:
  struct Slot {
    uint64_t subnet = 0;
    uint32_t count = 0;
  };
  size_t home(uint64_t subnet) const;
  void grow();
  uint64_t seed_;
  size_t used_ = 0;
  std::vector<Slot> slots_;
};

}  // namespace beamline::discovery
