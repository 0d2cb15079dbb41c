// The table as plainly as it can be written: vectors of ids, scans, no indexes. It follows the same
// calls, and must stand the same after each.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "discovery/ip_limits.h"
#include "discovery/table.h"
#include "nodes.h"

namespace beamline::discovery {

class TableModel {
 public:
  struct Item {
    NodeId id;
    Endpoint udp;
    uint64_t seq = 0;
    uint32_t checks = 0;
    MonoTime seen{};
    bool live = false, disposable = false, pinged = false, decides = false;
  };
  struct Lists {
    std::vector<Item> main, spare;  // oldest first
  };

  explicit TableModel(const NodeId& self) : self_(self) {}
  const std::map<unsigned, Lists>& buckets() const { return buckets_; }
  void set_time(Now now) { now_ = now.mono; }

  Inserted proven(const NodeRecord& record) {
    const auto bucket = bucket_of(self_, record.id);
    if (!bucket) return Inserted::self;
    Lists& lists = buckets_[*bucket];
    if (Item* known = find(record.id)) {
      if (known->udp != record.udp && !subnet_allows(record.udp, *bucket, known->udp)) {
        return Inserted::subnet_full;
      }
      known->udp = record.udp;
      if (record.is_signed()) known->seq = std::max(known->seq, record.seq);
      answered(record.id);
      return Inserted::known;
    }
    if (!subnet_allows(record.udp, *bucket, {})) return Inserted::subnet_full;
    Item item{.id = record.id,
              .udp = record.udp,
              .seq = record.seq,
              .checks = 1,
              .seen = now_,
              .live = true};
    if (lists.main.size() < kBucketSize) {
      lists.main.push_back(item);
      return Inserted::main;
    }
    if (lists.spare.size() == kReplacements) {
      const auto dead = std::find_if(lists.spare.begin(), lists.spare.end(),
                                     [](const Item& other) { return !other.live; });
      lists.spare.erase(dead == lists.spare.end() ? lists.spare.begin() : dead);
    }
    lists.spare.push_back(item);
    want_check(*bucket);
    return Inserted::replacement;
  }

  Inserted heard(const NodeRecord& record) {
    const auto bucket = bucket_of(self_, record.id);
    if (!bucket) return Inserted::self;
    if (find(record.id) != nullptr) {
      update(record);
      return Inserted::known;
    }
    if (!subnet_allows(record.udp, *bucket, {})) return Inserted::subnet_full;
    Lists& lists = buckets_[*bucket];
    if (!make_room_for_hearsay(lists)) return Inserted::no_room;
    lists.spare.push_back({.id = record.id, .udp = record.udp, .seq = record.seq});
    return Inserted::replacement;
  }

  void update(const NodeRecord& record) {
    Item* item = find(record.id);
    if (item == nullptr || !record.is_signed() || record.seq <= item->seq) return;
    const unsigned bucket = *bucket_of(self_, record.id);
    if (record.udp == item->udp) {
      item->seq = record.seq;
      return;
    }
    if (!subnet_allows(record.udp, bucket, item->udp)) return;
    item->seq = record.seq;
    item->udp = record.udp;
    if (item->disposable) return;
    item->live = false;
    Lists& lists = buckets_[bucket];
    const auto at = in(lists.main, record.id);
    if (at == lists.main.end()) return;
    Item moved = *at;
    moved.pinged = moved.decides = false;
    lists.main.erase(at);
    promote(lists);
    ASSERT_TRUE(make_room_for_hearsay(lists));
    lists.spare.push_back(moved);
  }

  void touched(const NodeId& id, const Endpoint& from) {
    Item* item = find(id);
    if (item == nullptr || item->udp != from) return;
    item->decides = false;
    item->seen = now_;
    to_tail(id);
  }

  void pong(const NodeId& id, const Endpoint& from) {
    const Item* item = find(id);
    if (item != nullptr && item->udp == from) answered(id);
  }

  void ping_sent(const NodeId& id) {
    if (Item* item = find(id)) item->pinged = true;
  }

  // Whom a newcomer's bucket wants pinged, unless it was seen within 30 s; a ping that is out
  // already decides as well.
  std::optional<NodeId> next_check() {
    while (!wanted_.empty()) {
      Lists& lists = buckets_[*wanted_.begin()];
      wanted_.erase(wanted_.begin());
      if (lists.main.size() < kBucketSize || lists.main[0].disposable) continue;
      if (now_ - lists.main[0].seen < seconds(30)) continue;
      lists.main[0].decides = true;
      if (!lists.main[0].pinged) return lists.main[0].id;
    }
    return std::nullopt;
  }

  void ping_failed(const NodeId& id) {
    Item* item = find(id);
    if (item == nullptr || !item->pinged) return;
    Lists& lists = buckets_[*bucket_of(self_, id)];
    const auto main = in(lists.main, id);
    const bool decides = item->decides && main != lists.main.end();
    item->pinged = item->decides = false;
    if (item->disposable) return;
    if (decides && live_spares(lists) > 0) {
      lists.main.erase(main);
      promote(lists);
      return;
    }
    item->checks /= 3;
    item->live = false;
    if (item->checks == 0 || main == lists.main.end()) item->disposable = true;
  }

  void mark(const NodeId& id) {
    Item* item = find(id);
    if (item == nullptr) return;
    item->disposable = true;
    item->live = false;
  }

  // How many it promotes.
  size_t prune() {
    size_t promoted = 0;
    for (auto& [index, lists] : buckets_) {
      const auto gone = [](const Item& item) { return item.disposable; };
      std::erase_if(lists.main, gone);
      std::erase_if(lists.spare, gone);
      promoted += promote(lists);
    }
    return promoted;
  }

  Item* find(const NodeId& id) {
    for (auto& [index, lists] : buckets_) {
      for (auto* list : {&lists.main, &lists.spare}) {
        if (const auto at = in(*list, id); at != list->end()) return &*at;
      }
    }
    return nullptr;
  }

  static size_t live_spares(const Lists& lists) {
    return static_cast<size_t>(std::count_if(lists.spare.begin(), lists.spare.end(),
                                             [](const Item& item) { return item.live; }));
  }

 private:
  static std::vector<Item>::iterator in(std::vector<Item>& list, const NodeId& id) {
    return std::find_if(list.begin(), list.end(), [&](const Item& item) { return item.id == id; });
  }

  bool subnet_allows(const Endpoint& udp, unsigned bucket, const Endpoint& before) {
    const uint64_t subnet = subnet_of(udp);
    if (subnet == 0 || subnet == subnet_of(before)) return true;
    size_t in_table = 0;
    size_t in_bucket = 0;
    size_t size = 0;
    for (const auto& [index, lists] : buckets_) {
      for (const auto* list : {&lists.main, &lists.spare}) {
        for (const Item& item : *list) {
          ++size;
          if (subnet_of(item.udp) != subnet) continue;
          ++in_table;
          in_bucket += index == bucket;
        }
      }
    }
    const size_t share = size < 64 ? 10 : std::clamp<size_t>(size / 24, 2, 10);
    return in_table < share && in_bucket < 2;
  }

  void answered(const NodeId& id) {
    Item* item = find(id);
    item->pinged = item->decides = false;
    item->seen = now_;
    if (item->disposable) return;
    const bool newcomer = !item->live;
    ++item->checks;
    item->live = true;
    Lists& lists = buckets_[*bucket_of(self_, id)];
    const auto spare = in(lists.spare, id);
    if (spare != lists.spare.end() && lists.main.size() < kBucketSize) {
      lists.main.push_back(*spare);
      lists.spare.erase(spare);
    } else {
      if (spare != lists.spare.end() && newcomer) want_check(*bucket_of(self_, id));
      to_tail(id);
    }
  }

  void want_check(unsigned bucket) {
    for (const Item& item : buckets_[bucket].main) {
      if (item.decides) return;
    }
    wanted_.insert(bucket);
  }

  void to_tail(const NodeId& id) {
    Lists& lists = buckets_[*bucket_of(self_, id)];
    for (auto* list : {&lists.main, &lists.spare}) {
      if (const auto at = in(*list, id); at != list->end()) std::rotate(at, at + 1, list->end());
    }
  }

  static bool make_room_for_hearsay(Lists& lists) {
    if (lists.spare.size() < kReplacements) return true;
    const auto dead = std::find_if(lists.spare.begin(), lists.spare.end(),
                                   [](const Item& item) { return !item.live; });
    if (dead == lists.spare.end()) return false;
    lists.spare.erase(dead);
    return true;
  }

  static size_t promote(Lists& lists) {
    size_t promoted = 0;
    while (lists.main.size() < kBucketSize && live_spares(lists) > 0) {
      const auto newest = std::find_if(lists.spare.rbegin(), lists.spare.rend(),
                                       [](const Item& item) { return item.live; });
      newest->checks = 1;
      lists.main.push_back(*newest);
      lists.spare.erase(std::next(newest).base());
      ++promoted;
    }
    return promoted;
  }

  NodeId self_;
  std::map<unsigned, Lists> buckets_;
  std::set<unsigned> wanted_;
  MonoTime now_{};
};

}  // namespace beamline::discovery
