// The templates of discovery/table.h.
#pragma once

#include <bit>

#include "discovery/table.h"

namespace beamline::discovery {

// With i the bucket of the target: its ids are nearest (they share one bit more with the target
// than all others). Then the lower buckets, which lie together: among them bit b of self ^ target
// says whether bucket b is nearer than all below it, or farther. Then the higher buckets, upwards.
template <class Visit>
void Table::by_distance(const NodeId& target, Visit&& visit) const {
  const Distance d = distance(self_, target);
  const unsigned bits = log_distance(self_, target);
  // Word w of a mask covers buckets 64 w to 64 w + 63; of a distance, the reverse.
  for (unsigned i = bits; i-- > 0;) {
    // Skips to the next set bit at or below i that is occupied.
    const unsigned word = i / 64;
    const uint64_t wanted = d.words[3 - word] & occupied_[word] & (~uint64_t{0} >> (63 - i % 64));
    if (wanted == 0) {
      i = word * 64;
      continue;
    }
    i = word * 64 + 63 - static_cast<unsigned>(std::countl_zero(wanted));
    if (!visit(i)) return;
  }
  for (unsigned i = 0; i < kBuckets; ++i) {
    const unsigned word = i / 64;
    const uint64_t skip = i < bits ? d.words[3 - word] : 0;
    // Above the target's bucket all are wanted; below it those that the first pass left.
    uint64_t wanted = occupied_[word] & (~uint64_t{0} << (i % 64));
    if (i < bits) {
      const unsigned end = bits - word * 64;  // bits of this word below the target's length
      const uint64_t below = end >= 64 ? ~uint64_t{0} : (uint64_t{1} << end) - 1;
      wanted &= ~(skip & below);
    }
    if (wanted == 0) {
      i = word * 64 + 63;
      continue;
    }
    i = word * 64 + static_cast<unsigned>(std::countr_zero(wanted));
    if (!visit(i)) return;
  }
}

template <class Accept>
size_t Table::closest_if(const NodeId& target, Reach reach, std::span<const Contact*> out,
                         Accept&& accept) const {
  size_t found = 0;
  by_distance(target, [&](unsigned index) {
    if (found == out.size()) return false;
    const Bucket& bucket = buckets_[index];
    std::array<Ranked, kBucketSize + kReplacements> ranked;
    size_t count = 0;
    const auto consider = [&](Slot slot) {
      const Contact& contact = at(slot);
      if (!seen_by(contact, reach) || !accept(contact)) return;
      ranked[count++] = {distance(target, contact.record.id), &contact};
    };
    for (size_t i = 0; i < bucket.mains; ++i) consider(bucket.main[i]);
    if (reach == Reach::all) {
      for (size_t i = 0; i < bucket.spares; ++i) consider(bucket.spare[i]);
    }
    sort_ranked({ranked.data(), count});
    for (size_t i = 0; i < count && found < out.size(); ++i) out[found++] = ranked[i].contact;
    return true;
  });
  return found;
}

template <class Accept>
size_t Table::tell(const NodeId& target, Reach reach, std::span<const Contact*> out,
                   Accept&& accept) const {
  size_t found = closest_if(target, reach, out, [&](const Contact& contact) {
    return accept(contact) && !crowded(contact);
  });
  if (found == out.size()) return found;
  std::array<const Contact*, kBucketSize> rest;
  const size_t more = closest_if(target, reach, rest, [&](const Contact& contact) {
    return accept(contact) && crowded(contact);
  });
  for (size_t i = 0; i < more && found < out.size(); ++i) {
    if (count_subnet(out.first(found), rest[i]->subnet) < kTellPerSubnet) out[found++] = rest[i];
  }
  return found;
}

template <class Accept>
const Contact* Table::pick(Reach reach, Rng& rng, Accept&& accept) const {
  const Contact* chosen = nullptr;
  uint64_t seen = 0;
  for_each([&](const Contact& contact) {
    if (seen_by(contact, reach) && accept(contact) && rng.below(++seen) == 0) chosen = &contact;
  });
  return chosen;
}

template <class Visit>
void Table::for_each(Visit&& visit) const {
  for (const Bucket& bucket : buckets_) {
    for (size_t i = 0; i < bucket.mains; ++i) visit(at(bucket.main[i]));
    for (size_t i = 0; i < bucket.spares; ++i) visit(at(bucket.spare[i]));
  }
}

}  // namespace beamline::discovery
