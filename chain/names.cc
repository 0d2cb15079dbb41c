// The words for what the events and commands say; for logs, metrics and tests.
#include "chain/commands.h"
#include "chain/events.h"
#include "chain/pending_parents.h"

namespace beamline::chain {

const char* name(Origin origin) {
  switch (origin) {
    case Origin::anchor:
      return "anchor";
    case Origin::gossip:
      return "gossip";
    case Origin::by_root:
      return "by_root";
    case Origin::by_range:
      return "by_range";
    case Origin::own:
      return "own";
  }
  return "?";
}

const char* name(Verdict verdict) {
  switch (verdict) {
    case Verdict::valid:
      return "valid";
    case Verdict::invalid_bytes:
      return "invalid_bytes";
    case Verdict::invalid_block:
      return "invalid_block";
    case Verdict::data_missing:
      return "data_missing";
    case Verdict::try_again:
      return "try_again";
  }
  return "?";
}

const char* name(GossipResult result) {
  switch (result) {
    case GossipResult::accept:
      return "accept";
    case GossipResult::ignore:
      return "ignore";
    case GossipResult::reject:
      return "reject";
  }
  return "?";
}

const char* name(GossipReason reason) {
  switch (reason) {
    case GossipReason::verified:
      return "verified";
    case GossipReason::unknown_peer:
      return "unknown_peer";
    case GossipReason::future_slot:
      return "future_slot";
    case GossipReason::below_anchor:
      return "below_anchor";
    case GossipReason::already_known:
      return "already_known";
    case GossipReason::second_proposal:
      return "second_proposal";
    case GossipReason::parent_unknown:
      return "parent_unknown";
    case GossipReason::no_room:
      return "no_room";
    case GossipReason::dropped:
      return "dropped";
    case GossipReason::not_after_parent:
      return "not_after_parent";
    case GossipReason::invalid_bytes:
      return "invalid_bytes";
    case GossipReason::invalid_block:
      return "invalid_block";
    case GossipReason::invalid_parent:
      return "invalid_parent";
    case GossipReason::block_unknown:
      return "block_unknown";
    case GossipReason::old_vote:
      return "old_vote";
    case GossipReason::invalid_vote:
      return "invalid_vote";
    case GossipReason::conflicts_final:
      return "conflicts_final";
    case GossipReason::invalid_payload:
      return "invalid_payload";
  }
  return "?";
}

const char* name(Conduct conduct) {
  switch (conduct) {
    case Conduct::useful:
      return "useful";
    case Conduct::invalid_gossip:
      return "invalid_gossip";
    case Conduct::invalid_block:
      return "invalid_block";
    case Conduct::unrequested_root:
      return "unrequested_root";
    case Conduct::duplicate_chunk:
      return "duplicate_chunk";
    case Conduct::too_many_chunks:
      return "too_many_chunks";
    case Conduct::out_of_range:
      return "out_of_range";
    case Conduct::out_of_order:
      return "out_of_order";
    case Conduct::broken_chain:
      return "broken_chain";
    case Conduct::withheld:
      return "withheld";
    case Conduct::silent:
      return "silent";
    case Conduct::undecodable:
      return "undecodable";
    case Conduct::bad_request:
      return "bad_request";
    case Conduct::invalid_data:
      return "invalid_data";
  }
  return "?";
}

const char* name(DisconnectReason reason) {
  switch (reason) {
    case DisconnectReason::low_score:
      return "low_score";
    case DisconnectReason::no_room:
      return "no_room";
  }
  return "?";
}

const char* name(GiveUp reason) {
  switch (reason) {
    case GiveUp::attempts:
      return "attempts";
    case GiveUp::depth:
      return "depth";
    case GiveUp::below_anchor:
      return "below_anchor";
    case GiveUp::orphan_gone:
      return "orphan_gone";
    case GiveUp::peer_gone:
      return "peer_gone";
    case GiveUp::invalid:
      return "invalid";
  }
  return "?";
}

}  // namespace beamline::chain
