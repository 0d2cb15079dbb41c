// The network's blobs and columns: asked of peers for blocks that wait for them, and served.
#include "node/network.h"
#include "node/network_peer.h"

namespace beamline::node {

using reqresp::Protocol;

namespace {

bool is_of_sidecars(Protocol protocol) {
  return protocol == Protocol::blob_sidecars_by_root_v1 ||
         protocol == Protocol::data_column_sidecars_by_root_v1;
}

}  // namespace

Protocol sidecar_protocol(SidecarKind kind) {
  return kind == SidecarKind::blobs ? Protocol::blob_sidecars_by_root_v1
                                    : Protocol::data_column_sidecars_by_root_v1;
}

// Of the protocols for sidecars, ours is the one of our blocks' kind.
bool Network::speaks(Protocol protocol) const {
  if (!is_of_sidecars(protocol)) return true;
  return config_.sidecars && protocol == sidecar_protocol(*config_.sidecars);
}

void Network::request_data(chain::RequestData&& command, Now now) {
  if (!config_.sidecars) {
    return push_core(
        chain::RequestFailed{.peer = command.peer,
                             .request = command.request,
                             .error = {"sidecars", 0, Code::unsupported, Fault::local}});
  }
  std::vector<SidecarIds> wanted;
  wanted.reserve(command.wanted.size());
  for (chain::RequestData::Wanted& one : command.wanted) {
    wanted.push_back({one.block_root, std::move(one.indices)});
  }
  request(command.peer, command.request, sidecar_protocol(*config_.sidecars),
          encode_sidecar_request(*config_.sidecars, wanted), now);
}

// True: it was one of a request for sidecars.
bool Network::on_sidecar(const reqresp::ClientEvent& event, RequestPlace& place, Now now) {
  if (!is_of_sidecars(event.protocol)) return false;
  const auto named = name_sidecar(types_, *config_.sidecars, event.payload, hasher_);
  if (!named) {
    fail_undecodable(place, event.request, named.error(), now);
    return true;
  }
  ++stats_.sidecars;
  push_core(chain::SidecarReceived{.peer = place.peer,
                                   .request = place.chain_id,
                                   .block_root = named->block_root,
                                   .index = named->index,
                                   .bytes = event.payload});
  return true;
}

// True: it was one for sidecars. They are here or they are not: the core is not asked.
bool Network::on_sidecar_request(const reqresp::ServerEvent& event, Now now) {
  if (!is_of_sidecars(event.protocol)) return false;
  const chain::ServeId serve = number_of(event.request);
  RequestPlace* place = server_place(event.request);
  // The server has counted what it names, so it decodes.
  const auto wanted = decode_sidecar_request(*config_.sidecars, event.body);
  if (place == nullptr || !wanted) return true;
  for (const SidecarIds& ids : *wanted) {
    for (const uint64_t index : ids.indices) {
      const SharedBytes* bytes = sidecars_.find(ids.block_root, index);
      if (bytes != nullptr) place->chunks.push_back(*bytes);
    }
  }
  finish_response(serve, chain::ResponseCode::success, {}, now);
  return true;
}

void Network::keep_sidecar(const Root& block_root, uint64_t index, SharedBytes bytes) {
  sidecars_.put(block_root, index, std::move(bytes));
}

}  // namespace beamline::node
