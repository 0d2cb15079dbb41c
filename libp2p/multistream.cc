#include "libp2p/multistream.h"

#include <algorithm>

#include "base/check.h"
#include "codec/uvarint.h"

namespace beamline::libp2p {
namespace {
constexpr std::string_view kHeader = "/multistream/1.0.0";
constexpr std::string_view kNotAvailable = "na";
constexpr size_t kMaxLengthSize = 2;  // of a length up to 1,024

void append(std::string_view text, std::vector<uint8_t>& out) {
  append_uvarint(text.size() + 1, out);
  out.insert(out.end(), text.begin(), text.end());
  out.push_back('\n');
}

// The size of the message at the start of `input` with its length; 0: not known yet.
Result<size_t> message_size(Bytes input) {
  const Uvarint length = read_uvarint(input, kMaxLengthSize);
  if (length.state == UvarintState::bad) return bad_input(length.error, "multistream.length");
  if (length.state == UvarintState::need_more) return 0;
  if (length.value == 0) return bad_input(Code::bad_encoding, "multistream.length");
  if (length.value > MultistreamSelect::kMaxMessageSize) {
    return bad_input(Code::too_long, "multistream.length");
  }
  return length.size + length.value;
}
}  // namespace

MultistreamSelect MultistreamSelect::dialler(const ProtocolTable& table,
                                             std::span<const ProtocolId> proposals,
                                             std::vector<uint8_t>& out) {
  BL_CHECK(!proposals.empty() && proposals.size() <= kMaxProposals);
  MultistreamSelect select(table, Role::dialler);
  std::copy(proposals.begin(), proposals.end(), select.proposals_.begin());
  select.proposal_count_ = static_cast<uint8_t>(proposals.size());
  append(kHeader, out);
  select.header_sent_ = true;
  append(table.name(proposals[0]), out);
  return select;
}

MultistreamSelect MultistreamSelect::listener(const ProtocolTable& table) {
  return {table, Role::listener};
}

Result<size_t> MultistreamSelect::receive(Bytes input, std::vector<uint8_t>& out) {
  size_t at = 0;
  while (!done() && at < input.size()) {
    // A message that is whole in the input is read there; else it gathers in `partial_`.
    Bytes message = partial_.empty() ? input.subspan(at) : Bytes(partial_);
    Result<size_t> size = message_size(message);
    if (!size) return size;
    if (partial_.empty() && *size > 0 && *size <= message.size()) {
      at += *size;
    } else {
      const size_t missing = *size == 0 ? 1 : *size - partial_.size();
      const size_t take = std::min(missing, input.size() - at);
      partial_.insert(partial_.end(), input.begin() + static_cast<std::ptrdiff_t>(at),
                      input.begin() + static_cast<std::ptrdiff_t>(at + take));
      at += take;
      if (*size == 0 || partial_.size() < *size) continue;
      message = partial_;
    }
    std::string_view text = as_text(message.first(*size));
    text.remove_prefix(*size > 128 ? 2 : 1);
    if (text.back() != '\n') return bad_input(Code::bad_encoding, "multistream.newline");
    text.remove_suffix(1);
    if (Status status = on_message(text, out); !status) return std::unexpected(status.error());
    partial_.clear();
  }
  return at;
}

Status MultistreamSelect::on_message(std::string_view text, std::vector<uint8_t>& out) {
  if (!header_received_) {
    if (text != kHeader) return bad_input(Code::bad_encoding, "multistream.header");
    header_received_ = true;
    if (!header_sent_) append(kHeader, out);
    header_sent_ = true;
    return {};
  }
  return role_ == Role::dialler ? on_answer(text, out) : on_proposal(text, out);
}

Status MultistreamSelect::on_answer(std::string_view text, std::vector<uint8_t>& out) {
  const ProtocolId proposed = proposals_[proposal_];
  if (text == table_->name(proposed)) {
    accepted_ = proposed;
    return {};
  }
  if (text != kNotAvailable) return bad_input(Code::unexpected, "multistream.answer");
  if (++proposal_ == proposal_count_) return bad_input(Code::unsupported, "multistream.protocol");
  append(table_->name(proposals_[proposal_]), out);
  return {};
}

Status MultistreamSelect::on_proposal(std::string_view text, std::vector<uint8_t>& out) {
  const ProtocolId id = table_->find_served(text);
  if (id != kNoProtocol) {
    append(text, out);
    accepted_ = id;
    return {};
  }
  if (++refusals_ > kMaxRefusals) return bad_input(Code::rate_limited, "multistream.proposals");
  append(kNotAvailable, out);
  return {};
}

}  // namespace beamline::libp2p
