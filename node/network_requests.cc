// The network's req/resp: our requests and those of peers, on streams.
#include <algorithm>

#include "node/network.h"
#include "node/network_peer.h"

namespace beamline::node {

using reqresp::ClientEvent;
using reqresp::Protocol;
using reqresp::ServerEvent;

// ---- Places: where a request's stream is

Network::RequestPlace* Network::client_place(reqresp::RequestId request) {
  const auto found = client_places_.find(request);
  return found == client_places_.end() ? nullptr : &found->second;
}

Network::RequestPlace* Network::server_place(reqresp::RequestId request) {
  const auto found = server_places_.find(request);
  return found == server_places_.end() ? nullptr : &found->second;
}

void Network::release_stream(Peer* peer, const RequestPlace& place, bool reset) {
  if (peer == nullptr || !place.stream) return;
  if (reset) peer->connection->reset(place.stream);
  if (StreamUse* use = peer->find_use(place.stream)) *use = {};
  mark(*peer);
}

// ---- Our requests

void Network::request(const chain::PeerHandle& handle, chain::RequestId id, Protocol protocol,
                      Bytes body, Now now) {
  const auto made = client_.request(number_of(handle), protocol, body, now);
  if (!made) {
    push_core(chain::RequestFailed{.peer = handle, .request = id, .error = made.error()});
    return;
  }
  // In the table before a stream is opened: no answer can come too early.
  RequestPlace& place = client_places_[*made];
  place.peer = handle;
  place.chain_id = id;
  core_requests_[id] = *made;
}

// No answer will come for it: it is forgotten at once, unless its stream is still to be closed.
void Network::cancel(const chain::CancelRequest& command, Now now) {
  const auto found = core_requests_.find(command.request);
  if (found == core_requests_.end()) return;
  const reqresp::RequestId request = found->second;
  core_requests_.erase(found);
  RequestPlace* place = client_place(request);
  if (place == nullptr) return;
  place->chain_id = 0;
  client_.cancel(request, now);
  if (!place->stream) client_places_.erase(request);
}

bool Network::drain_client(Now now) {
  bool any = false;
  // What the core has no room for stays with the client, whose streams then stop to take bytes.
  while (core_has_room()) {
    auto event = client_.poll_event();
    if (!event) break;
    any = true;
    on_client_event(std::move(*event), now);
  }
  if (any) offer_unread(now);
  return any;
}

void Network::on_client_event(ClientEvent&& event, Now now) {
  RequestPlace* place = client_place(event.request);
  switch (event.kind) {
    case ClientEvent::Kind::open_stream:
      return open_stream(event, now);
    case ClientEvent::Kind::chunk:
      return on_chunk(std::move(event), now);
    case ClientEvent::Kind::end:
    case ClientEvent::Kind::error:
      return on_client_done(event, now);
    case ClientEvent::Kind::violation:
      return charge(find(handle_of(event.peer)), event.error, now);
    case ClientEvent::Kind::close_stream:
      if (place == nullptr) return;
      release_stream(find(place->peer), *place, event.reset);
      client_places_.erase(event.request);
      return;
  }
}

void Network::open_stream(const ClientEvent& event, Now now) {
  Peer* peer = find(handle_of(event.peer));
  RequestPlace* place = client_place(event.request);
  if (peer == nullptr || place == nullptr) {
    return client_.on_stream_failed(event.request,
                                    {"peer", 0, Code::connection_lost, Fault::network}, now);
  }
  const std::array proposal = {reqresp_ids_[static_cast<size_t>(event.protocol)]};
  const auto stream = peer->connection->open(now, proposal);
  if (!stream) return client_.on_stream_failed(event.request, stream.error(), now);
  place->stream = *stream;
  StreamUse& use = peer->use(*stream);
  use.kind = StreamUse::Kind::client;
  use.request = event.request;
  write_client(*peer, event.request, now);
}

void Network::write_client(Peer& peer, reqresp::RequestId request, Now) {
  RequestPlace* place = client_place(request);
  if (place == nullptr || !place->stream) return;
  mark(peer);
  for (;;) {
    const Bytes output = client_.output(request);
    if (output.empty()) return peer.connection->close_write(place->stream);
    const size_t taken = peer.connection->write(place->stream, output);
    if (taken == 0) return;
    client_.output_sent(request, taken);
  }
}

void Network::feed_client(Peer& peer, reqresp::RequestId request, Bytes data, Now now) {
  RequestPlace* place = client_place(request);
  if (place == nullptr) return;
  const size_t taken = place->unread.empty() ? client_.on_data(request, data, now) : 0;
  if (taken == data.size()) return;
  // At most what was in one frame: the stream gives no more until it is resumed.
  if (place->unread.empty()) unread_.push_back(request);
  place->unread.insert(place->unread.end(), data.begin() + static_cast<ptrdiff_t>(taken),
                       data.end());
  peer.connection->pause(place->stream);
}

// The client has handed out chunks since: it takes bytes again.
void Network::offer_unread(Now now) {
  std::erase_if(unread_, [&](reqresp::RequestId request) {
    RequestPlace* place = client_place(request);
    if (place == nullptr || place->unread.empty()) return true;
    const size_t taken = client_.on_data(request, place->unread, now);
    place->unread.erase(place->unread.begin(),
                        place->unread.begin() + static_cast<ptrdiff_t>(taken));
    if (!place->unread.empty()) return false;
    if (place->remote_closed) client_.on_remote_close(request, now);
    if (Peer* peer = find(place->peer)) {
      peer->connection->resume(place->stream);
      mark(*peer);
    }
    return true;
  });
}

void Network::on_chunk(ClientEvent&& event, Now now) {
  RequestPlace* place = client_place(event.request);
  if (place == nullptr || on_handshake_chunk(find(place->peer), event, now)) return;
  if (place->chain_id == 0) return;
  if (Peer* peer = find(place->peer)) peer->noise += event.payload.size();
  if (on_sidecar(event, *place, now)) return;
  auto block = decode_block(event.payload);
  if (block) {
    ++stats_.chunks;
    return push_core(chain::ChunkReceived{
        .peer = place->peer, .request = place->chain_id, .block = std::move(*block)});
  }
  fail_undecodable(*place, event.request, block.error(), now);
}

// The core charges the peer for it.
void Network::fail_undecodable(RequestPlace& place, reqresp::RequestId request, const Error& error,
                               Now now) {
  ++stats_.chunks_undecodable;
  const chain::RequestId id = std::exchange(place.chain_id, 0);
  core_requests_.erase(id);
  push_core(chain::RequestFailed{.peer = place.peer, .request = id, .error = error});
  client_.cancel(request, now);
}

void Network::on_client_done(const ClientEvent& event, Now now) {
  RequestPlace* place = client_place(event.request);
  if (place == nullptr) return;
  const chain::PeerHandle handle = place->peer;
  const chain::RequestId id = std::exchange(place->chain_id, 0);
  // It never had a stream, so no close_stream follows.
  if (!place->stream) client_places_.erase(event.request);
  if (id == 0) {
    Peer* peer = find(handle);
    if (peer != nullptr && peer->handshake != nullptr) on_handshake_done(*peer, event, now);
    return;
  }
  core_requests_.erase(id);
  if (event.kind == ClientEvent::Kind::error) {
    push_core(chain::RequestFailed{.peer = handle, .request = id, .error = event.error});
  } else {
    push_core(chain::RequestEnded{.peer = handle, .request = id});
  }
}

// ---- Requests of peers

bool Network::drain_server(Now now) {
  bool any = false;
  while (core_has_room()) {
    auto event = server_.poll_event();
    if (!event) break;
    any = true;
    on_server_event(std::move(*event), now);
  }
  return any;
}

void Network::on_server_event(ServerEvent&& event, Now now) {
  RequestPlace* place = server_place(event.request);
  if (place == nullptr) return;
  Peer* peer = find(place->peer);
  switch (event.kind) {
    case ServerEvent::Kind::request:
      return on_request(std::move(event), now);
    case ServerEvent::Kind::writable:
      return flush_response(*place, event.request, now);
    case ServerEvent::Kind::cancelled:
      if (!place->serving) return;
      push_core(chain::IncomingCancelled{.peer = place->peer, .serve = number_of(event.request)});
      return;
    case ServerEvent::Kind::violation:
      return charge(peer, event.error, now);
    case ServerEvent::Kind::flush:
      if (peer != nullptr) write_server(*peer, event.request, now);
      return;
    case ServerEvent::Kind::finish:
      if (peer == nullptr) return;
      peer->connection->close_write(place->stream);
      mark(*peer);
      return;
    case ServerEvent::Kind::close_stream:
      release_stream(peer, *place, event.reset);
      server_places_.erase(event.request);
      return;
  }
}

void Network::write_server(Peer& peer, reqresp::RequestId request, Now now) {
  RequestPlace* place = server_place(request);
  if (place == nullptr) return;
  mark(peer);
  for (;;) {
    const Bytes output = server_.output(request);
    if (output.empty()) return;
    const size_t taken = peer.connection->write(place->stream, output);
    if (taken == 0) return;
    server_.output_sent(request, taken, now);
  }
}

void Network::on_request(ServerEvent&& event, Now now) {
  const chain::PeerHandle handle = handle_of(event.peer);
  Peer* peer = find(handle);
  if (peer == nullptr || peer->handshake == nullptr) return;
  const chain::ServeId serve = number_of(event.request);
  if (on_handshake_request(*peer, event, now)) {
    return finish_response(serve, chain::ResponseCode::success, {}, now);
  }
  if (!peer->up) {
    ++stats_.requests_too_early;
    const auto code = chain::ResponseCode::resource_unavailable;
    return finish_response(serve, code, "status first", now);
  }
  if (on_sidecar_request(event, now)) return;
  if (RequestPlace* place = server_place(event.request)) place->serving = true;
  // The server has checked the body's size, so it decodes.
  if (event.protocol == Protocol::blocks_by_root_v1 ||
      event.protocol == Protocol::blocks_by_root_v2) {
    chain::IncomingByRoot request{.peer = handle, .serve = serve, .roots = {}};
    request.roots.reserve(event.body.size() / Root::kSize);
    for (size_t at = 0; at < event.body.size(); at += Root::kSize) {
      request.roots.push_back(Root::load(event.body.data() + at));
    }
    return push_core(std::move(request));
  }
  if (event.protocol == Protocol::blocks_by_head_v1) {
    const auto head = ssz::decode<BlocksByHead>(event.body);
    if (!head) return;
    return push_core(chain::IncomingByHead{
        .peer = handle, .serve = serve, .root = head->beacon_root, .count = head->count});
  }
  const auto range = ssz::decode<BlocksByRange>(event.body);
  if (!range) return;
  push_core(chain::IncomingByRange{
      .peer = handle, .serve = serve, .start_slot = range->start_slot, .count = range->count});
}

void Network::respond(chain::ServeId serve, SharedBytes chunk, Now now) {
  RequestPlace* place = server_place(request_of(serve));
  if (place == nullptr) return;
  place->chunks.push_back(std::move(chunk));
  flush_response(*place, request_of(serve), now);
}

// Chunks that the server has no room for wait here; there are at most as many as the core sends
// ahead, because it is told of each one that left.
void Network::flush_response(RequestPlace& place, reqresp::RequestId request, Now now) {
  uint32_t sent = 0;
  while (!place.chunks.empty()) {
    const Status taken = server_.respond_chunk(request, digest_, place.chunks.front(), now);
    if (!taken && taken.error().code == Code::full) break;
    place.chunks.pop_front();
    ++sent;
  }
  if (sent > 0 && place.serving) {
    push_core(
        chain::ResponseWritten{.peer = place.peer, .serve = number_of(request), .chunks = sent});
  }
  if (!place.chunks.empty() || !std::exchange(place.end_owed, false)) return;
  if (!place.failure) {
    std::ignore = server_.respond_end(request, now);
    return;
  }
  const auto code = static_cast<reqresp::ResultCode>(place.failure->code);
  std::ignore = server_.respond_error(request, code, place.failure->text, now);
}

void Network::finish_response(chain::ServeId serve, chain::ResponseCode code, std::string_view text,
                              Now now) {
  const reqresp::RequestId request = request_of(serve);
  RequestPlace* place = server_place(request);
  if (place == nullptr) return;
  place->end_owed = true;
  if (code != chain::ResponseCode::success) {
    place->failure =
        chain::RespondError{.peer = place->peer, .serve = serve, .code = code, .text = text};
  }
  flush_response(*place, request, now);
}

}  // namespace beamline::node
