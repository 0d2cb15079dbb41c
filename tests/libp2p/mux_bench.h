// One muxer under test: feeds it bytes, keeps what it says and what it sends.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "libp2p/muxer.h"

namespace beamline::libp2p {

template <class M>
struct MuxBench {
  explicit MuxBench(Role role, const MuxLimits& with = {})
      : limits(with), muxer(std::make_unique<M>(role, limits, stats)) {}

  // Feeds all of it, in pieces of `piece` bytes, and keeps the events.
  Status feed(std::string_view bytes, size_t piece = SIZE_MAX) {
    while (!bytes.empty()) {
      const std::string part(bytes.substr(0, piece));
      bytes.remove_prefix(part.size());
      Bytes rest = as_bytes(part);
      for (;;) {
        MuxEvent event;
        const Result<size_t> taken = muxer->receive(rest, event);
        if (!taken) return std::unexpected(taken.error());
        rest = rest.subspan(*taken);
        if (event.type == MuxEvent::Type::none) {
          EXPECT_TRUE(rest.empty());
          break;
        }
        keep(event);
      }
    }
    return {};
  }
  void poll() {
    MuxEvent event;
    while (muxer->poll_event(event)) keep(event);
  }
  void keep(const MuxEvent& event) {
    events.push_back({event.type, event.stream, {}, event.error});
    if (event.type == MuxEvent::Type::data) data[event.stream.value].append(as_text(event.data));
    if (event.type == MuxEvent::Type::opened) {
      opened = event.stream;
      if (pause_opened) muxer->pause(event.stream);
    }
  }
  // Everything that it has to send.
  std::string sent(size_t room = 100'000) {
    std::string all;
    std::vector<uint8_t> out(room);
    while (const size_t size = muxer->poll_transmit(out)) {
      all.append(reinterpret_cast<const char*>(out.data()), size);
    }
    return all;
  }
  size_t write(StreamId stream, std::string_view text) {
    return muxer->write(stream, SharedBytes::copy(as_bytes(text)));
  }
  size_t count(MuxEvent::Type type) const {
    size_t n = 0;
    for (const MuxEvent& event : events) n += event.type == type;
    return n;
  }

  MuxLimits limits;
  MuxStats stats;
  std::unique_ptr<M> muxer;
  std::vector<MuxEvent> events;
  std::map<uint32_t, std::string> data;
  StreamId opened;
  bool pause_opened = false;
};

// Two muxers against each other, random fragments, writes, pauses, closes and resets: what was
// written and not reset arrives, in order, once.
template <class M>
void run_mux_property(uint64_t seed) {
  Rng rng(seed);
  MuxBench<M> a(Role::dialler);
  MuxBench<M> b(Role::listener);
  std::vector<StreamId> open;
  std::map<uint32_t, std::string> written;  // by the dialler's id
  std::vector<uint32_t> order;              // the dialler's ids, as they were opened
  std::vector<StreamId> accepted;
  std::string wire[2];
  const auto exchange = [&] {
    for (int i = 0; i < 2; ++i) {
      auto& from = i == 0 ? a : b;
      auto& to = i == 0 ? b : a;
      std::vector<uint8_t> out(64 + rng.below(30'000));
      const size_t size = from.muxer->poll_transmit(out);
      wire[i].append(reinterpret_cast<const char*>(out.data()), size);
      const size_t part = rng.below(wire[i].size() + 1);
      const size_t before = to.events.size();
      ASSERT_TRUE(to.feed(std::string_view(wire[i]).substr(0, part), 1 + rng.below(5000)));
      wire[i].erase(0, part);
      for (size_t e = before; e < to.events.size(); ++e) {
        if (to.events[e].type == MuxEvent::Type::opened) accepted.push_back(to.events[e].stream);
      }
    }
  };
  for (int i = 0; i < 400; ++i) {
    const uint64_t what = rng.below(10);
    if (what == 0 && open.size() < 20) {
      const Result<StreamId> stream = a.muxer->open();
      ASSERT_TRUE(stream.has_value());
      open.push_back(*stream);
      order.push_back(stream->value);
    } else if (what < 5 && !open.empty()) {
      const StreamId stream = open[rng.below(open.size())];
      std::string text(rng.below(30'000), '\0');
      rng.fill({reinterpret_cast<uint8_t*>(text.data()), text.size()});
      const size_t size = a.write(stream, text);
      written[stream.value].append(text, 0, size);
    } else if (what == 5 && !open.empty()) {
      a.muxer->close_write(open[rng.below(open.size())]);
    } else if (what == 6 && !accepted.empty()) {
      b.muxer->pause(accepted[rng.below(accepted.size())]);
    } else if (what == 7 && !accepted.empty()) {
      b.muxer->resume(accepted[rng.below(accepted.size())]);
      b.poll();
    }
    exchange();
  }
  for (const StreamId stream : open) a.muxer->close_write(stream);
  for (const StreamId stream : accepted) b.muxer->resume(stream);
  b.poll();
  for (int i = 0; i < 20'000 && (a.muxer->wants_transmit() || b.muxer->wants_transmit() ||
                                 !wire[0].empty() || !wire[1].empty());
       ++i) {
    exchange();
    for (const StreamId stream : accepted) b.muxer->resume(stream);
    b.poll();
  }
  ASSERT_EQ(accepted.size(), order.size());
  EXPECT_EQ(b.count(MuxEvent::Type::remote_closed), order.size());
  EXPECT_EQ(b.muxer->held_bytes(), 0u);
  // Streams may be opened on the wire in another order than by open(): match by content.
  std::multiset<std::string> sent_set;
  std::multiset<std::string> got_set;
  for (const uint32_t id : order) sent_set.insert(written[id]);
  for (const StreamId id : accepted) got_set.insert(b.data[id.value]);
  EXPECT_TRUE(sent_set == got_set);
}

}  // namespace beamline::libp2p
