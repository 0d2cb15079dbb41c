// The C ABI: events in. Bytes are unpacked, decoded and hashed here, on the calling thread.
#include <algorithm>

#include "node/abi.h"

namespace beamline::node::abi {
namespace {

// The uint64_t of bl_producer_stats that counts refusals of this event.
uint64_t& full_counter(bl_producer& producer, const chain::Event& event) {
  if (std::holds_alternative<chain::GossipBlock>(event) ||
      std::holds_alternative<chain::OwnBlock>(event)) {
    return producer.stats.full_gossip;
  }
  if (std::holds_alternative<chain::ChunkReceived>(event) ||
      std::holds_alternative<chain::SidecarReceived>(event)) {
    return producer.stats.full_chunk;
  }
  if (std::holds_alternative<chain::GossipVote>(event)) return producer.stats.full_vote;
  return producer.stats.full_control;
}

int32_t finish(bl_producer& producer, PushResult result, const chain::Event& event) {
  switch (result) {
    case PushResult::ok:
      return BL_OK;
    case PushResult::closed:
      return producer.fail(BL_CLOSED, "the core was stopped");
    case PushResult::full:
      ++full_counter(producer, event);
      return producer.fail(BL_FULL, "no room for an event of this class");
  }
  return BL_INTERNAL;
}

// What every push begins with.
int32_t begin(bl_producer* producer) {
  producer->last_error.clear();
  producer->core->releases.run();
  return BL_OK;
}

template <class Body>
int32_t push_guarded(bl_producer* producer, Body&& body) noexcept {
  if (producer == nullptr) return BL_INVALID_ARGUMENT;
  return guarded([&] {
    begin(producer);
    return body();
  });
}

int32_t invalid(bl_producer& producer, const char* why) {
  return producer.fail(BL_INVALID_ARGUMENT, why);
}

int32_t push(bl_producer* producer, chain::Event event) {
  return push_guarded(producer, [&] {
    const PushResult result = producer->port->push(std::move(event));
    return finish(*producer, result, event);
  });
}

bool valid(const bl_bytes& bytes) { return bytes.data != nullptr || bytes.size == 0; }

template <class Kind>
SharedBytes& bytes_of(Kind& event) {
  return event.block.signed_bytes;
}
SharedBytes& bytes_of(chain::SidecarReceived& event) { return event.bytes; }

// Pushes an event with the adopted bytes; where it is refused they stay with the caller.
template <class Kind>
int32_t push_adopted(bl_producer& producer, Kind event, ReleaseList::Adopted& adopted) {
  chain::Event made = std::move(event);
  const PushResult result = producer.port->push(std::move(made));
  if (result != PushResult::ok) {
    bytes_of(std::get<Kind>(made)).reset();
    adopted.give_back();
  }
  return finish(producer, result, made);
}

// Pushes an event with these bytes in it.
template <class Kind>
int32_t push_bytes(bl_producer& producer, Kind event, const bl_bytes& bytes) {
  if (bytes.release == nullptr) {
    bytes_of(event) = SharedBytes::copy({bytes.data, bytes.size});
    chain::Event made = std::move(event);
    const PushResult result = producer.port->push(std::move(made));
    return finish(producer, result, made);
  }
  ReleaseList::Adopted adopted(producer.core->releases, bytes);
  bytes_of(event) = adopted.bytes();
  return push_adopted(producer, std::move(event), adopted);
}

// Bytes as they came. What has to be decompressed is copied by that, and released at once.
template <class Kind>
int32_t decode_and_push(bl_producer& producer, Kind event, const bl_bytes& bytes,
                        Encoding encoding) {
  // Not decoded in vain, and again at each retry.
  if (producer.port->closed()) return finish(producer, PushResult::closed, event);
  if (!producer.port->has_node(event)) return finish(producer, PushResult::full, event);
  const bool adopt = encoding == Encoding::ssz && bytes.release != nullptr;
  const auto malformed = [&](const Error& error) {
    ++producer.stats.malformed;
    return producer.fail(BL_MALFORMED, error);
  };
  const BlockFormat& format = producer.core->format;
  if (adopt) {
    if (bytes.size > kMaxBlockSize) return malformed({"payload", 0, Code::too_long, Fault::peer});
    ReleaseList::Adopted adopted(producer.core->releases, bytes);
    auto block = format.decode(adopted.bytes(), producer.hasher);
    if (!block) {
      adopted.give_back();
      return malformed(block.error());
    }
    event.block = std::move(*block);
    return push_adopted(producer, std::move(event), adopted);
  }
  auto ssz = unpack(encoding, {bytes.data, bytes.size});
  if (!ssz) return malformed(ssz.error());
  auto block = format.decode(std::move(*ssz), producer.hasher);
  if (!block) return malformed(block.error());
  event.block = std::move(*block);
  chain::Event made = std::move(event);
  const PushResult result = producer.port->push(std::move(made));
  if (result == PushResult::ok && bytes.release != nullptr) {
    bytes.release(bytes.context, bytes.data, bytes.size);
  }
  return finish(producer, result, made);
}

std::optional<Encoding> encoding_of(uint32_t encoding, Encoding wire) {
  switch (encoding) {
    case BL_ENCODING_DEFAULT:
      return wire;
    case BL_ENCODING_SSZ:
      return Encoding::ssz;
    case BL_ENCODING_SNAPPY:
      return Encoding::snappy;
    case BL_ENCODING_SNAPPY_FRAMES:
      return Encoding::snappy_frames;
    default:
      return std::nullopt;
  }
}

chain::BlockInfo block_of(const bl_block& block) {
  return {.root = root_of(block.root),
          .parent_root = root_of(block.parent_root),
          .slot = block.slot,
          .proposer = block.proposer,
          .signed_bytes = {}};
}

template <class Make>
int32_t push_decoded(bl_producer* producer, const bl_block* block, Make&& make) {
  return push_guarded(producer, [&]() -> int32_t {
    bl_block given;
    if (!read_struct(block, given)) return invalid(*producer, "bl_block");
    if (!valid(given.signed_block) || given.signed_block.size > kMaxBlockSize) {
      return invalid(*producer, "bl_block.signed_block");
    }
    return push_bytes(*producer, make(given), given.signed_block);
  });
}

constexpr size_t kMaxValidatorsOfAVote = 131'072;
constexpr size_t kMaxVotesOfABlock = 65'536;
constexpr size_t kMaxBalances = 4'194'304;
constexpr size_t kMaxProof = 1u << 20;
constexpr size_t kMaxMissing = 128;
constexpr size_t kMaxSidecar = 1u << 20;

chain::Checkpoint checkpoint_of(const bl_checkpoint& checkpoint) {
  return {checkpoint.number, root_of(checkpoint.root)};
}

std::optional<std::vector<uint64_t>> numbers_of(const uint64_t* numbers, size_t count,
                                                size_t most) {
  if (count > most || (numbers == nullptr && count > 0)) return std::nullopt;
  return std::vector<uint64_t>(numbers, numbers + count);
}

std::optional<chain::Vote> vote_of(const bl_vote& vote) {
  auto validators = numbers_of(vote.validators, vote.validator_count, kMaxValidatorsOfAVote);
  if (!validators || validators->empty() || vote.aggregate > 1) return std::nullopt;
  const bool has_proof = vote.proof != nullptr || vote.proof_size == 0;
  if (!has_proof || vote.proof_size > kMaxProof) return std::nullopt;
  return chain::Vote{.slot = vote.slot,
                     .head_root = root_of(vote.head_root),
                     .source = checkpoint_of(vote.source),
                     .target = checkpoint_of(vote.target),
                     .validators = std::move(*validators),
                     .head_slot = vote.head_slot,
                     .aggregate = vote.aggregate == 1,
                     .proof = SharedBytes::copy({vote.proof, vote.proof_size})};
}

// `make(given, vote)` gives the event.
template <class Make>
int32_t push_vote(bl_producer* producer, const bl_vote* vote, Make&& make) {
  return push_guarded(producer, [&]() -> int32_t {
    bl_vote given;
    if (!read_struct(vote, given)) return invalid(*producer, "bl_vote");
    auto decoded = vote_of(given);
    if (!decoded) return invalid(*producer, "bl_vote: validators, aggregate or proof");
    chain::Event event = make(given, std::move(*decoded));
    const PushResult result = producer->port->push(std::move(event));
    return finish(*producer, result, event);
  });
}

// The votes of a block's body; an array of structs of the caller's version.
bool read_votes(const bl_import_result& given, std::vector<chain::Vote>& votes) {
  if (given.vote_count > kMaxVotesOfABlock) return false;
  if (given.vote_count > 0 && given.votes == nullptr) return false;
  const auto* at = reinterpret_cast<const uint8_t*>(given.votes);
  for (size_t i = 0; i < given.vote_count; ++i) {
    const auto* next = reinterpret_cast<const bl_vote*>(at);
    bl_vote vote;
    if (!read_struct(next, vote)) return false;
    auto decoded = vote_of(vote);
    if (!decoded) return false;
    votes.push_back(std::move(*decoded));
    at += next->size;
  }
  return true;
}

std::optional<Error> failure_of(uint32_t why) {
  switch (why) {
    case BL_FAILED_NOT_SENT:
      return Error{"send", 0, Code::io_error, Fault::local};
    case BL_FAILED_CONNECTION:
      return Error{"stream", 0, Code::connection_lost, Fault::network};
    case BL_FAILED_REMOTE:
      return Error{"answer", 0, Code::remote_error, Fault::peer};
    case BL_FAILED_RATE_LIMITED:
      return Error{"answer", 0, Code::rate_limited, Fault::peer};
    case BL_FAILED_UNDECODABLE:
      return Error{"answer", 0, Code::bad_encoding, Fault::peer};
    case BL_FAILED_TIMED_OUT:
      return Error{"answer", 0, Code::timed_out, Fault::network};
    default:
      return std::nullopt;
  }
}

}  // namespace

const char* read_import_result(const bl_import_result& given, chain::ImportVerdict& verdict) {
  static_assert(static_cast<int>(chain::Execution::invalid) == BL_EXECUTION_INVALID);
  if (given.execution > BL_EXECUTION_INVALID) return "BL_EXECUTION_*";
  if (given.verdict > BL_VERDICT_TRY_AGAIN) return "BL_VERDICT_*";
  verdict.verdict = static_cast<chain::Verdict>(given.verdict);
  auto missing = numbers_of(given.missing, given.missing_count, kMaxMissing);
  if (!missing) return "bl_import_result.missing";
  verdict.missing = std::move(*missing);
  verdict.post = {.justified = checkpoint_of(given.justified),
                  .finalized = checkpoint_of(given.finalized),
                  .unrealized_justified = checkpoint_of(given.unrealized_justified),
                  .unrealized_finalized = checkpoint_of(given.unrealized_finalized),
                  .execution = static_cast<chain::Execution>(given.execution),
                  .payload_hash = root_of(given.payload_hash)};
  if (!read_votes(given, verdict.votes)) return "bl_import_result.votes";
  auto equivocations =
      numbers_of(given.equivocations, given.equivocation_count, kMaxValidatorsOfAVote);
  if (!equivocations) return "bl_import_result.equivocations";
  verdict.equivocations = std::move(*equivocations);
  return nullptr;
}

}  // namespace beamline::node::abi

using namespace beamline;
using namespace beamline::node;
using namespace beamline::node::abi;

// ---- Peers

int32_t bl_push_peer_up(bl_producer* producer, bl_peer peer) {
  return push_guarded(producer, [&] {
    const chain::PeerHandle handle = peer_of(peer);
    chain::Event event = chain::PeerUp{handle};
    const bool added = producer->peers.insert(handle).second;
    if (added && !producer->port->reserve_peer_down()) {
      producer->peers.erase(handle);
      const bool closed = producer->port->closed();
      return finish(*producer, closed ? PushResult::closed : PushResult::full, event);
    }
    const PushResult result = producer->port->push(std::move(event));
    if (result != PushResult::ok && added) {
      producer->port->release_peer_down();
      producer->peers.erase(handle);
    }
    return finish(*producer, result, event);
  });
}

int32_t bl_push_peer_down(bl_producer* producer, bl_peer peer) {
  return push_guarded(producer, [&] {
    const chain::PeerDown down{peer_of(peer)};
    chain::Event event = down;
    if (producer->peers.erase(down.peer) == 0) {
      return finish(*producer, producer->port->push(std::move(event)), event);
    }
    const bool closed = producer->port->closed();
    producer->port->push_peer_down(down);
    return finish(*producer, closed ? PushResult::closed : PushResult::ok, event);
  });
}

int32_t bl_push_peer_status(bl_producer* producer, const bl_peer_status* status) {
  return push_guarded(producer, [&]() -> int32_t {
    bl_peer_status given;
    if (!read_struct(status, given)) return invalid(*producer, "bl_peer_status");
    chain::Event event = chain::PeerStatus{.peer = peer_of(given.peer),
                                           .finalized_root = root_of(given.finalized_root),
                                           .finalized_slot = given.finalized_slot,
                                           .head_root = root_of(given.head_root),
                                           .head_slot = given.head_slot};
    const PushResult result = producer->port->push(std::move(event));
    return finish(*producer, result, event);
  });
}

// ---- Gossip and blocks

int32_t bl_push_gossip(bl_producer* producer, const bl_gossip* gossip) {
  return push_guarded(producer, [&]() -> int32_t {
    bl_gossip given;
    if (!read_struct(gossip, given)) return invalid(*producer, "bl_gossip");
    const auto encoding = encoding_of(given.encoding, Encoding::snappy);
    if (!encoding) return invalid(*producer, "bl_gossip.encoding");
    if (!valid(given.payload)) return invalid(*producer, "bl_gossip.payload");
    if (given.topic == nullptr) return invalid(*producer, "bl_gossip.topic");
    const Status topic = producer->core->format.takes_topic({given.topic, given.topic_size});
    if (!topic) return producer->fail(BL_UNSUPPORTED, topic.error());
    chain::GossipBlock event{
        .sender = peer_of(given.sender), .verdict = given.message, .block = {}};
    return decode_and_push(*producer, std::move(event), given.payload, *encoding);
  });
}

int32_t bl_push_gossip_block(bl_producer* producer, const bl_block* block) {
  return push_decoded(producer, block, [](const bl_block& given) {
    return chain::GossipBlock{
        .sender = peer_of(given.sender), .verdict = given.message, .block = block_of(given)};
  });
}

int32_t bl_push_own_block(bl_producer* producer, const bl_block* block) {
  return push_decoded(producer, block,
                      [](const bl_block& given) { return chain::OwnBlock{block_of(given)}; });
}

int32_t bl_push_gossip_vote(bl_producer* producer, const bl_vote* vote) {
  return push_vote(producer, vote, [](const bl_vote& given, chain::Vote decoded) {
    return chain::GossipVote{
        .sender = peer_of(given.sender), .verdict = given.message, .vote = std::move(decoded)};
  });
}

int32_t bl_push_own_vote(bl_producer* producer, const bl_vote* vote) {
  return push_vote(producer, vote, [](const bl_vote&, chain::Vote decoded) {
    return chain::OwnVote{std::move(decoded)};
  });
}

// ---- Answers to our requests

int32_t bl_push_chunk(bl_producer* producer, const bl_chunk* chunk) {
  return push_guarded(producer, [&]() -> int32_t {
    bl_chunk given;
    if (!read_struct(chunk, given)) return invalid(*producer, "bl_chunk");
    const auto encoding = encoding_of(given.encoding, Encoding::snappy_frames);
    if (!encoding) return invalid(*producer, "bl_chunk.encoding");
    if (!valid(given.payload)) return invalid(*producer, "bl_chunk.payload");
    chain::ChunkReceived event{.peer = peer_of(given.peer), .request = given.request, .block = {}};
    return decode_and_push(*producer, std::move(event), given.payload, *encoding);
  });
}

int32_t bl_push_chunk_block(bl_producer* producer, const bl_block* block) {
  return push_decoded(producer, block, [](const bl_block& given) {
    return chain::ChunkReceived{
        .peer = peer_of(given.sender), .request = given.message, .block = block_of(given)};
  });
}

int32_t bl_request_progress(bl_producer* producer, bl_peer peer, uint64_t request) {
  return push(producer, chain::TransferProgress{peer_of(peer), request});
}

int32_t bl_request_ended(bl_producer* producer, bl_peer peer, uint64_t request) {
  return push(producer, chain::RequestEnded{peer_of(peer), request});
}

int32_t bl_request_failed(bl_producer* producer, bl_peer peer, uint64_t request, uint32_t why) {
  const auto error = failure_of(why);
  if (!error) {
    return push_guarded(producer, [&] { return invalid(*producer, "BL_FAILED_*"); });
  }
  return push(producer, chain::RequestFailed{peer_of(peer), request, *error});
}

// ---- Requests of peers

int32_t bl_push_incoming_by_root(bl_producer* producer, bl_peer peer, uint64_t serve,
                                 const bl_root* roots, size_t count) {
  return push_guarded(producer, [&]() -> int32_t {
    if (roots == nullptr && count > 0) return invalid(*producer, "roots");
    chain::IncomingByRoot request{.peer = peer_of(peer), .serve = serve, .roots = {}};
    // One too many is as wrong as a million, and the core says so to the peer.
    const size_t taken = std::min<size_t>(count, 1025);
    request.roots.reserve(taken);
    for (size_t i = 0; i < taken; ++i) request.roots.push_back(root_of(roots[i]));
    chain::Event event = std::move(request);
    const PushResult result = producer->port->push(std::move(event));
    return finish(*producer, result, event);
  });
}

int32_t bl_push_incoming_by_range(bl_producer* producer, bl_peer peer, uint64_t serve,
                                  uint64_t start_slot, uint64_t count) {
  return push(producer, chain::IncomingByRange{peer_of(peer), serve, start_slot, count});
}

int32_t bl_push_incoming_by_head(bl_producer* producer, bl_peer peer, uint64_t serve,
                                 const bl_root* root, uint64_t count) {
  if (root == nullptr) {
    return push_guarded(producer, [&] { return invalid(*producer, "root"); });
  }
  return push(producer, chain::IncomingByHead{peer_of(peer), serve, root_of(*root), count});
}

int32_t bl_push_response_written(bl_producer* producer, bl_peer peer, uint64_t serve,
                                 uint32_t chunks) {
  return push(producer, chain::ResponseWritten{peer_of(peer), serve, chunks});
}

int32_t bl_push_incoming_cancelled(bl_producer* producer, bl_peer peer, uint64_t serve) {
  return push(producer, chain::IncomingCancelled{peer_of(peer), serve});
}

// ---- Verdicts and time

int32_t bl_push_import_verdict(bl_producer* producer, uint64_t import, uint32_t verdict) {
  static_assert(static_cast<int>(chain::Verdict::try_again) == BL_VERDICT_TRY_AGAIN);
  if (verdict > BL_VERDICT_TRY_AGAIN) {
    return push_guarded(producer, [&] { return invalid(*producer, "BL_VERDICT_*"); });
  }
  return push(producer, chain::ImportVerdict{.import = import,
                                             .verdict = static_cast<chain::Verdict>(verdict)});
}

int32_t bl_push_import_result(bl_producer* producer, const bl_import_result* result) {
  return push_guarded(producer, [&]() -> int32_t {
    bl_import_result given;
    if (!read_struct(result, given)) return invalid(*producer, "bl_import_result");
    chain::ImportVerdict verdict{.import = given.import, .verdict = chain::Verdict::valid};
    const char* wrong = read_import_result(given, verdict);
    if (wrong != nullptr) return invalid(*producer, wrong);
    chain::Event event = std::move(verdict);
    const PushResult pushed = producer->port->push(std::move(event));
    return finish(*producer, pushed, event);
  });
}

int32_t bl_push_sidecar(bl_producer* producer, const bl_sidecar* sidecar) {
  return push_guarded(producer, [&]() -> int32_t {
    bl_sidecar given;
    if (!read_struct(sidecar, given)) return invalid(*producer, "bl_sidecar");
    if (!valid(given.bytes) || given.bytes.size > kMaxSidecar) {
      return invalid(*producer, "bl_sidecar.bytes");
    }
    chain::SidecarReceived event{.peer = peer_of(given.peer),
                                 .request = given.request,
                                 .block_root = root_of(given.block_root),
                                 .index = given.index,
                                 .bytes = {}};
    return push_bytes(*producer, std::move(event), given.bytes);
  });
}

int32_t bl_push_data_verdict(bl_producer* producer, uint64_t data, uint32_t verdict) {
  if (verdict > BL_VERDICT_TRY_AGAIN) {
    return push_guarded(producer, [&] { return invalid(*producer, "BL_VERDICT_*"); });
  }
  return push(producer,
              chain::DataVerdict{.id = data, .verdict = static_cast<chain::Verdict>(verdict)});
}

int32_t bl_push_data_available(bl_producer* producer, const bl_root* block_root) {
  if (block_root == nullptr) {
    return push_guarded(producer, [&] { return invalid(*producer, "block_root"); });
  }
  return push(producer, chain::DataAvailable{root_of(*block_root)});
}

int32_t bl_push_vote_verdict(bl_producer* producer, const bl_vote* vote, uint32_t verdict) {
  if (verdict > BL_VERDICT_TRY_AGAIN) {
    return push_guarded(producer, [&] { return invalid(*producer, "BL_VERDICT_*"); });
  }
  return push_vote(producer, vote, [&](const bl_vote& given, chain::Vote decoded) {
    return chain::VoteVerdict{.id = given.message,
                              .verdict = static_cast<chain::Verdict>(verdict),
                              .vote = std::move(decoded)};
  });
}

int32_t bl_push_justified_balances(bl_producer* producer, const bl_checkpoint* justified,
                                   const uint64_t* balances, size_t count, uint64_t total_active) {
  return push_guarded(producer, [&]() -> int32_t {
    auto given = numbers_of(balances, count, kMaxBalances);
    if (justified == nullptr || !given) return invalid(*producer, "balances");
    chain::Event event =
        chain::JustifiedBalances{checkpoint_of(*justified), std::move(*given), total_active};
    const PushResult result = producer->port->push(std::move(event));
    return finish(*producer, result, event);
  });
}

int32_t bl_push_equivocation(bl_producer* producer, const uint64_t* validators, size_t count) {
  return push_guarded(producer, [&]() -> int32_t {
    auto given = numbers_of(validators, count, kMaxValidatorsOfAVote);
    if (!given) return invalid(*producer, "validators");
    chain::Event event = chain::Equivocation{std::move(*given)};
    const PushResult result = producer->port->push(std::move(event));
    return finish(*producer, result, event);
  });
}

int32_t bl_push_payload_verdict(bl_producer* producer, const bl_root* root, uint32_t execution,
                                const bl_root* latest_valid) {
  return push_guarded(producer, [&]() -> int32_t {
    if (root == nullptr) return invalid(*producer, "root");
    if (execution != BL_EXECUTION_VALID && execution != BL_EXECUTION_INVALID) {
      return invalid(*producer, "BL_EXECUTION_*");
    }
    chain::PayloadVerdict verdict{.root = root_of(*root),
                                  .execution = static_cast<chain::Execution>(execution),
                                  .latest_valid = std::nullopt};
    if (latest_valid != nullptr) verdict.latest_valid = root_of(*latest_valid);
    chain::Event event = std::move(verdict);
    const PushResult result = producer->port->push(std::move(event));
    return finish(*producer, result, event);
  });
}

int32_t bl_push_persisted(bl_producer* producer, uint64_t id) {
  return push(producer, chain::Persisted{id});
}

int32_t bl_push_tick(bl_producer* producer, uint64_t) { return push(producer, chain::Tick{}); }
