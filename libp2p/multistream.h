// multistream-select 1.0: two sides agree on a protocol by its name. Used for the security layer,
// for the muxer, and on each stream. (libp2p/specs, connections/README.md, "multistream-select")
//
// A message is uvarint(length) || text || "\n". Each side opens with "/multistream/1.0.0"; the
// dialler proposes names, the listener echoes the one it takes or answers "na". Our dialler sends
// its header and its first proposal together.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "libp2p/protocols.h"

namespace beamline::libp2p {

enum class Role : uint8_t { dialler, listener };

// One negotiation; a few dozen bytes, dropped when it is done. One thread.
class MultistreamSelect {
 public:
  static constexpr size_t kMaxMessageSize = 1024;  // the text and its newline
  static constexpr size_t kMaxProposals = 8;       // that we make
  static constexpr int kMaxRefusals = 64;  // "na"s that a listener answers before it gives up

  // Proposes each in turn, and appends the header and the first to `out`.
  // REQUIRES: 1 to kMaxProposals, all of `table`, which outlives the negotiation.
  static MultistreamSelect dialler(const ProtocolTable& table,
                                   std::span<const ProtocolId> proposals,
                                   std::vector<uint8_t>& out);
  // Accepts what `table` serves.
  static MultistreamSelect listener(const ProtocolTable& table);

  // Takes bytes up to the end of the negotiation and not one more; gives how many. What is to be
  // sent is appended to `out`. Errors: too_long (a message over the cap), bad_encoding (no header,
  // no newline), unexpected (an answer to what was not proposed), unsupported (the listener has
  // none of the proposals), rate_limited (a dialler that never ends).
  Result<size_t> receive(Bytes input, std::vector<uint8_t>& out);

  bool done() const { return accepted_ != kNoProtocol; }
  // kNoProtocol until done().
  ProtocolId accepted() const { return accepted_; }

 private:
  MultistreamSelect(const ProtocolTable& table, Role role) : table_(&table), role_(role) {}
  Status on_message(std::string_view text, std::vector<uint8_t>& out);
  Status on_answer(std::string_view text, std::vector<uint8_t>& out);
  Status on_proposal(std::string_view text, std::vector<uint8_t>& out);

  const ProtocolTable* table_;
  std::vector<uint8_t> partial_;  // a message's length and text, until it is whole
  std::array<ProtocolId, kMaxProposals> proposals_{};
  uint8_t proposal_count_ = 0;
  uint8_t proposal_ = 0;
  uint8_t refusals_ = 0;
  Role role_;
  bool header_received_ = false;
  bool header_sent_ = false;
  ProtocolId accepted_ = kNoProtocol;
};

}  // namespace beamline::libp2p
