// A header sync in virtual time: simulated peers, a store on a disk that may crash, and a state
// download that takes its batches at its own pace. Everything follows from the seed.
#pragma once

#include <cstdlib>
#include <functional>
#include <set>

#include "base/poison.h"
#include "chain/headers/header_log.h"
#include "chain/headers/header_sync.h"
#include "tests/chain/headers/headers.h"
#include "tests/chain/headers/sim_files.h"
#include "tests/chain/headers/state_double.h"

namespace beamline::chain::testing {

// The long tier, a million headers; under a sanitizer they would take too long.
inline bool at_size() {
#ifdef BL_ASAN
  return false;
#else
  return std::getenv("BEAMLINE_LONG") != nullptr;
#endif
}

// Valid headers in a row from `parent` on.
struct HeaderChain {
  std::vector<std::vector<uint8_t>> encodings;
  std::vector<Hash256> hashes;
  std::vector<ParentHeader> parents;  // of what follows each
  uint64_t first = 1;

  uint64_t head() const { return first + hashes.size() - 1; }
  const Hash256& hash(uint64_t number) const { return hashes.at(number - first); }
  // Shares what is up to `number`, and grows another branch on it.
  HeaderChain fork(const HeaderForks& forks, uint64_t number, uint64_t length,
                   uint64_t salt) const {
    HeaderChain other = *this;
    other.reorganise(forks, number, length, salt);
    return other;
  }
  void reorganise(const HeaderForks& forks, uint64_t number, uint64_t length, uint64_t salt) {
    const size_t kept = number + 1 - first;
    encodings.resize(kept);
    hashes.resize(kept);
    parents.resize(kept);
    grow(forks, parents.at(kept - 1), length, salt);
  }
  void grow(const HeaderForks& forks, ParentHeader parent, uint64_t length, uint64_t salt);
};

inline void HeaderChain::grow(const HeaderForks& forks, ParentHeader parent, uint64_t length,
                              uint64_t salt) {
  for (uint64_t i = 0; i < length; ++i) {
    encodings.push_back(child_fields(forks, parent, salt).encode());
    const auto header = ExecutionHeader::decode(encodings.back());
    hashes.push_back(header->hash());
    parent = ParentHeader::of(*header, hashes.back());
    parents.push_back(parent);
  }
}

enum class HeaderManner : uint8_t {
  honest,
  slow,      // a few headers an answer
  stalling,  // answers the probe and nothing else
  mute,      // answers nothing
  empty,     // answers the probe, then without headers
  garbage,   // bytes that are no headers
  broken,    // one header breaks a rule
  forging,   // a valid branch of its own, from where it is asked on
  failing,   // every request fails
  tarpit,    // a header an answer, so late that no deadline passes
};

class SyncWorld {
 public:
  SyncWorld(uint64_t seed, uint64_t length, HeaderSyncConfig sync_config = {})
      : rng(seed), disk(seed), config(std::move(sync_config)) {
    config.forks = all_forks();
    const auto bytes = genesis_fields().encode();
    const auto header = ExecutionHeader::decode(bytes);
    genesis = ParentHeader::of(*header, header->hash());
    chain.grow(config.forks, genesis, length, 0);
  }

  PeerHandle add_peer(HeaderManner manner, Duration round_trip) {
    const PeerHandle handle{static_cast<uint32_t>(peers.size()), 1};
    peers.push_back({handle, manner, round_trip});
    if (sync) sync->peer_up(now, handle);
    return handle;
  }
  // Opens the store and begins, or goes on after a crash.
  void start() {
    ++life;
    agenda.clear();
    log.emplace(*HeaderLog::open(disk, {.segment_bytes = 1u << 20}));
    sync.emplace(config, parent_of(log->next()), chain.hashes.back(), now);
    channel.clear();
    store_failed = false;
    for (const SimHeaderPeer& peer : peers) {
      if (!peer.dropped) sync->peer_up(now, peer.handle);
    }
  }
  // Crashes and begins anew; what the state download saw, and how it ended, was another life's.
  void restart() {
    crash();
    finished.reset();
    updates.clear();
    announced_next = 0;
    start();
  }
  void crash() {
    sync.reset();
    log.reset();
    disk.crash();
  }
  // The chain goes on, or a branch of it takes over; the peers follow.
  void reorg(uint64_t ancestor, uint64_t length) {
    chain.reorganise(config.forks, ancestor, length, ++salt);
    sync->move_head(now, chain.hashes.back());
  }

  // Until the sync ends, or `limit` of virtual time passed, or `done`. True: it ended.
  bool run(Duration limit, const std::function<bool()>& done = nullptr) {
    const MonoTime end = now.mono + limit;
    while (now.mono <= end) {
      ++turns;
      sync->end_of_turn(now);
      while (auto command = sync->poll_command()) {
        std::visit([&](auto& what) { on(what); }, *command);
      }
      if (done && done()) return false;
      if (sync->finished() && agenda.empty()) return true;
      MonoTime next = sync->poll_timeout();
      if (!agenda.empty()) next = std::min(next, agenda.begin()->first.first);
      if (state && !sync->finished()) next = std::min(next, state->deadline());
      if (next == MonoTime::never()) return sync->finished();
      if (next > now.mono) now.mono = next;
      std::vector<std::function<void()>> due;
      while (!agenda.empty() && agenda.begin()->first.first <= now.mono) {
        due.push_back(std::move(agenda.begin()->second));
        agenda.erase(agenda.begin());
      }
      for (const auto& what : due) what();
      drive_state();
    }
    return sync->finished();
  }
  void at(Duration after, std::function<void()> what) {
    agenda.emplace(std::pair(now.mono + after, ++sequence), std::move(what));
  }
  // The header before `number` as the store has it.
  ParentHeader parent_of(uint64_t number) const {
    if (number == config.first_number) return genesis;
    std::vector<uint8_t> bytes;
    EXPECT_TRUE(log->read(number - 1, 1, 0, bytes).has_value());
    const auto header = ExecutionHeader::decode(bytes);
    return ParentHeader::of(*header, header->hash());
  }
  // The store holds the chain, at every height.
  void expect_canonical() const {
    ASSERT_EQ(log->next(), chain.head() + 1);
    EXPECT_EQ(log->checkpointed(), log->next());
    for (uint64_t number = 1; number < log->next(); number += 500) {
      std::vector<uint8_t> bytes;
      std::vector<Hash256> hashes;
      ASSERT_TRUE(log->read(number, 500, SIZE_MAX, bytes, &hashes).has_value());
      for (size_t i = 0; i < hashes.size(); ++i) {
        ASSERT_EQ(hashes[i], chain.hash(number + i)) << number + i;
      }
    }
  }
  size_t dropped(HeaderManner manner) const {
    return static_cast<size_t>(std::count_if(peers.begin(), peers.end(), [&](const auto& peer) {
      return peer.manner == manner && peer.dropped;
    }));
  }

  struct SimHeaderPeer {
    PeerHandle handle;
    HeaderManner manner = HeaderManner::honest;
    Duration round_trip;
    bool dropped = false;
    int64_t bandwidth = 0;  // bytes a second; 0: not limited
    MonoTime link_free{};
  };

  Rng rng;
  Now now{MonoTime{1'000'000'000}, WallTime::from_unix(100'000)};
  SimDisk disk;
  HeaderSyncConfig config;
  ParentHeader genesis;
  HeaderChain chain;
  std::deque<SimHeaderPeer> peers;
  std::optional<HeaderLog> log;
  std::optional<HeaderSync> sync;
  std::optional<HeaderSyncFinished> finished;
  std::vector<UpdateForkChoice> updates;
  std::vector<HeadReached> heads;
  Duration store_time = milliseconds(5);
  Duration per_header{};                  // of an answer, beside the round trip
  uint64_t duplicates = 0;                // answers of a hundred that come twice
  Duration batch_time = milliseconds(1);  // to take a batch, where there is no state download
  std::optional<StateDouble> state;
  uint64_t announced_next = 0;  // what the state download has seen, in this life
  std::deque<HeadersStored> channel;
  size_t channel_peak = 0;
  uint64_t channel_headers_peak = 0;
  uint64_t largest_batch = 0;
  MonoTime first_batch{}, last_batch{}, head_at{}, finished_at{};
  bool store_failed = false;
  uint64_t requests_after_end = 0;
  uint64_t turns = 0;
  uint64_t life = 0;
  uint64_t salt = 0;

 private:
  void later(Duration after, std::function<void()> what) {
    at(after, [this, of = life, what = std::move(what)] {
      if (of == life && sync) what();
    });
  }
  void on(RequestHeaders& request) {
    if (finished) ++requests_after_end;
    SimHeaderPeer& peer = peers.at(request.peer.index);
    EXPECT_FALSE(peer.dropped);
    const bool probe = request.hash.has_value();
    if (peer.manner == HeaderManner::stalling && !probe) return;
    if (peer.manner == HeaderManner::mute) return;
    const auto come = [this, request, probe, manner = peer.manner] {
      if (manner == HeaderManner::failing && !probe) {
        sync->request_failed(now, request.peer, request.request);
      } else {
        sync->answered(now, request.peer, request.request, answer(manner, request));
      }
    };
    const Duration after = delay(peer, request);
    later(after, come);
    if (rng.chance(duplicates, 100)) later(2 * after, come);
  }
  // Answers of one peer go over its link one after the other.
  Duration delay(SimHeaderPeer& peer, const RequestHeaders& request) {
    if (peer.manner == HeaderManner::tarpit && !request.hash) return milliseconds(1900);
    const Duration after = peer.round_trip + static_cast<int64_t>(request.count) * per_header;
    if (peer.bandwidth == 0) return after;
    const int64_t bytes = static_cast<int64_t>(request.count * chain.encodings.back().size());
    peer.link_free = std::max(peer.link_free, now.mono + after) +
                     nanoseconds(bytes * 1'000'000'000 / peer.bandwidth);
    return peer.link_free - now.mono;
  }
  SharedBytes answer(HeaderManner manner, const RequestHeaders& request) {
    std::vector<std::vector<uint8_t>> headers;
    if (request.hash) {
      if (*request.hash == chain.hashes.back()) headers.push_back(chain.encodings.back());
      return list_of(headers);
    }
    uint32_t count = request.count;
    if (manner == HeaderManner::slow) count = std::min<uint32_t>(count, 50);
    if (manner == HeaderManner::empty) count = 0;
    if (manner == HeaderManner::tarpit) count = 1;
    for (uint64_t n = request.number; n < request.number + count && n <= chain.head(); ++n) {
      headers.push_back(chain.encodings[n - chain.first]);
    }
    if (headers.empty()) return list_of(headers);
    if (manner == HeaderManner::garbage) headers[rng.below(headers.size())] = {0xc2, 1, 2};
    if (manner == HeaderManner::broken) {
      std::vector<uint8_t>& wrong = headers[rng.below(headers.size())];
      wrong[wrong.size() / 2] ^= 1;  // within the bloom: the next one's link breaks
      if (headers.size() == 1) headers[0][40] ^= 1;
    }
    if (manner == HeaderManner::forging) {
      HeaderChain forged;
      const ParentHeader parent =
          request.number == 1 ? genesis : chain.parents[request.number - 1 - chain.first];
      forged.grow(config.forks, parent, headers.size(), 1'000'000 + rng.below(1000));
      headers = std::move(forged.encodings);
    }
    return list_of(headers);
  }
  static SharedBytes list_of(const std::vector<std::vector<uint8_t>>& headers) {
    std::vector<uint8_t> out;
    rlp::Writer writer(out);
    size_t size = 0;
    for (const auto& header : headers) size += header.size();
    writer.list_header(size);
    for (const auto& header : headers) writer.raw(header);
    return SharedBytes::copy(out);
  }

  // What failed is not gone on with.
  void fail_store() {
    store_failed = true;
    sync->store_failed(now);
  }
  void on(StoreHeaders& command) {
    later(store_time, [this, runs = std::move(command.runs)] {
      if (store_failed) return;
      for (const HeaderRun& run : runs) {
        EXPECT_EQ(run.first, log->next());  // contiguous, nothing twice
        std::vector<StoredHeader> views;
        for (size_t i = 0; i < run.size(); ++i) {
          views.push_back({run.encodings[i], run.hashes[i]});
        }
        if (!log->append(views)) return fail_store();
      }
      if (!log->checkpoint()) return fail_store();
      sync->stored(now, log->next());
    });
  }
  void on(RewindHeaders& command) {
    announced_next = std::min(announced_next, command.number);
    if (state) state->taken_back(now.mono, command.number);
    later(store_time, [this, number = command.number] {
      if (store_failed) return;
      if (!log->rewind(number)) return fail_store();
      sync->rewound(now, parent_of(number));
    });
  }
  void on(HeadersStored& batch) {
    EXPECT_LT(batch.first + batch.count - 1, log->checkpointed());  // durable before it is said
    if (announced_next != 0) {
      EXPECT_EQ(batch.first, announced_next);
    }
    announced_next = batch.first + batch.count;
    if (first_batch == MonoTime{}) first_batch = now.mono;
    last_batch = now.mono;
    channel.push_back(batch);
    channel_peak = std::max(channel_peak, channel.size());
    uint64_t headers = 0;
    for (const HeadersStored& one : channel) headers += one.count;
    channel_headers_peak = std::max(channel_headers_peak, headers);
    largest_batch = std::max(largest_batch, batch.count);
    if (state) return state->stored(now.mono, batch);
    later(batch_time * static_cast<int64_t>(channel.size()), [this] {
      channel.pop_front();
      sync->batch_taken(now);
    });
  }
  void on(ChargeHeaderPeer& charge) {
    if (charge.drop) peers.at(charge.peer.index).dropped = true;
  }
  void on(HeadReached& reached) {
    heads.push_back(reached);
    head_at = now.mono;
    if (state) state->head_reached(now.mono, reached);
  }
  // What the state download has taken by now.
  void drive_state() {
    if (!state || !sync) return;
    for (size_t taken = state->advance(now.mono); taken > 0; --taken) {
      channel.pop_front();
      sync->batch_taken(now);
    }
  }
  void on(UpdateForkChoice& update) {
    EXPECT_FALSE(finished.has_value());
    EXPECT_TRUE(channel.empty());  // drained to terminal before
    updates.push_back(update);
  }
  void on(HeaderSyncFinished& end) {
    EXPECT_FALSE(finished.has_value()) << "a second end";
    finished = end;
    finished_at = now.mono;
  }

  std::map<std::pair<MonoTime, uint64_t>, std::function<void()>> agenda;
  uint64_t sequence = 0;
};

}  // namespace beamline::chain::testing
