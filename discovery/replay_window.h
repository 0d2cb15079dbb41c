// Which messages of a session have been here, so that none is taken twice, however late it is
// repeated. In bounded memory, for both ways that peers choose nonces:
//
//  - a count in the first four bytes, as the specification recommends (discv5-wire.md, "Nonce"): a
//    window over the last kWindow counts; what is older is refused;
//  - random bytes: all of them are kept, and after kMaxKept messages the window is full: the
//    session's keys have to be made anew, which makes every packet under the old ones worthless.
//
// A peer whose first message has a count under kFirstCount counts; a leap of a count that is larger
// than kMaxLeap makes the window full, since it was no count.
//
// Thread rule: one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "discovery/discv5_packet.h"

namespace beamline::discv5 {

class ReplayWindow {
 public:
  static constexpr uint32_t kWindow = 1024;
  static constexpr uint32_t kFirstCount = 1 << 16;
  static constexpr uint32_t kMaxLeap = 1 << 20;
  static constexpr size_t kMaxKept = 1024;

  // Of a message that its key authenticated. False: it was here, or is too old to tell. Random
  // nonces are compared by 32 bits: one message in a million is refused though it is new.
  bool take(const Nonce& nonce);
  // No more messages should be taken under this key.
  bool full() const { return full_; }
  size_t memory() const { return kept_.capacity() * sizeof(uint32_t); }

 private:
  bool take_count(uint32_t count);
  bool take_random(const Nonce& nonce);
  void grow();

  enum class Mode : uint8_t { none, counts, random };
  Mode mode_ = Mode::none;
  bool full_ = false;
  uint32_t newest_ = 0;
  std::array<uint64_t, kWindow / 64> window_{};  // by count modulo kWindow
  size_t size_ = 0;
  std::vector<uint32_t> kept_;  // a hash set; zero is an empty place
};

}  // namespace beamline::discv5
