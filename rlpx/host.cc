#include "rlpx/host.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace beamline::rlpx {
namespace {

constexpr size_t kWritePiece = 1 << 16;

}  // namespace

Now Connection::now() const { return host_->tcp_.reactor().now(); }

Status Connection::send(size_t capability, uint8_t id, Bytes payload) {
  if (!session_) return local_error(Code::closed, "rlpx.send");
  const Status status = session_->send(capability, id, payload, now().mono);
  mark_dirty();
  return status;
}

Status Connection::send(size_t capability, uint8_t id, std::vector<uint8_t>& buffer, size_t begin) {
  if (!session_) return local_error(Code::closed, "rlpx.send");
  const Status status = session_->send(capability, id, buffer, begin, now().mono);
  mark_dirty();
  return status;
}

void Connection::disconnect(DisconnectReason reason) {
  if (!session_) {
    stream_->close();
    return;
  }
  session_->disconnect(reason, now().mono);
  mark_dirty();
}

void Connection::open(Host& host, TcpStream& stream) {
  host_ = &host;
  stream_ = &stream;
  remote_ = stream.remote();
  reported_ = was_ready_ = false;
  user = nullptr;
}

void Connection::on_connected(TcpStream&) {
  session_.emplace(Session::initiator(host_->options_.session, *dialled_, host_->rng_, now().mono));
  mark_dirty();
  arm();
}

void Connection::on_data(TcpStream&, Lease lease) {
  MutableBytes input = lease.bytes();
  while (!input.empty()) dispatch(session_->receive(input, now().mono));
  mark_dirty();
  arm();
}

void Connection::dispatch(const Event& event) {
  switch (event.kind) {
    case Event::Kind::ready:
      was_ready_ = true;
      ++host_->stats_.ready;
      host_->handler_.on_ready(*this);
      break;
    case Event::Kind::message:
      host_->handler_.on_message(*this, event.capability, event.id, event.payload);
      break;
    case Event::Kind::none:
    case Event::Kind::closed:  // told at the end of the turn
      break;
  }
}

void Connection::on_end(TcpStream& stream) {
  stream.close(Error{"rlpx.connection", 0, Code::closed, Fault::peer});
}

void Connection::on_writable(TcpStream&) { mark_dirty(); }

void Connection::on_closed(TcpStream&, const Error& why) {
  failed_ = {why, DisconnectReason::tcp_error, false};
  report();
  host_->tcp_.reactor().disarm(timer_);
  host_->give_back(*this);
}

void Connection::cut_off() {
  ++host_->stats_.cut_off;
  stream_->close(session_->closed().why);
}

void Connection::on_time() {
  if (session_->is_closed()) {
    cut_off();
    return;
  }
  dispatch(session_->on_deadline(now().mono));
  mark_dirty();
  arm();
}

// The timer stays where it is while the deadline only moves back.
void Connection::arm() {
  const MonoTime due = session_->deadline();
  if (due == MonoTime::never()) {
    host_->tcp_.reactor().disarm(timer_);
  } else if (!timer_.armed() || timer_.deadline() > due) {
    host_->tcp_.reactor().arm(timer_, due);
  }
}

void Connection::mark_dirty() {
  if (dirty_ || stream_ == nullptr) return;
  dirty_ = true;
  next_ = host_->dirty_;
  host_->dirty_ = this;
}

// False: the stream is closed.
bool Connection::write_out() {
  while (!session_->output().empty()) {
    const Bytes piece = session_->output().first(std::min(session_->output().size(), kWritePiece));
    const WriteResult result = stream_->write(piece);
    if (result == WriteResult::closed) return false;
    if (result == WriteResult::full) break;
    session_->wrote(piece.size(), now().mono);
  }
  return true;
}

void Connection::flush() {
  if (!session_) return;
  const bool was_queued = session_->queued() > 0;
  if (!write_out()) return;
  if (session_->has_work() && !working_) {
    working_ = true;
    host_->working_.push_back(this);
  }
  if (session_->is_closed()) {
    const bool first = !reported_;
    report();
    if (!session_->output().empty() && session_->closed().why.code == Code::timed_out) {
      return cut_off();  // it reads nothing
    }
    if (first) host_->tcp_.reactor().arm_in(timer_, host_->options_.disconnect_timeout);
    if (session_->output().empty()) stream_->close_after_flush();
    return;
  }
  arm();
  if (was_queued && session_->queued() == 0 && was_ready_) {
    host_->handler_.on_writable(*this);
  }
}

void Connection::report() {
  if (reported_) return;
  reported_ = true;
  ++host_->stats_.closed;
  if (!was_ready_ && !dialled_) return;
  const bool known = session_ && session_->is_closed();
  host_->handler_.on_closed(*this, known ? session_->closed() : failed_);
}

Host::Host(Tcp& tcp, const HostOptions& options, HostHandler& handler, Rng& rng)
    : tcp_(tcp),
      options_(options),
      handler_(handler),
      rng_(rng.fork()),
      slots_(std::make_unique<Connection[]>(options.max_connections)) {
  for (uint32_t i = options.max_connections; i > 0; --i) {
    slots_[i - 1].next_ = std::exchange(free_, &slots_[i - 1]);
  }
  tcp_.reactor().add_hook(*this);
}

Host::~Host() {
  BL_CHECK(in_use_ == 0);
  tcp_.reactor().unpost(again_);
  tcp_.reactor().remove_hook(*this);
}

Result<TcpListener*> Host::listen(const Endpoint& local) { return tcp_.listen(local, *this); }

Connection* Host::take() {
  if (free_ == nullptr) {
    ++stats_.refused_full;
    return nullptr;
  }
  ++in_use_;
  Connection* const connection = std::exchange(free_, free_->next_);
  connection->next_ = nullptr;
  return connection;
}

Result<Connection*> Host::dial(const Endpoint& remote, const secp256k1::PublicKey& key) {
  Connection* const connection = take();
  if (connection == nullptr) return local_error(Code::full, "rlpx.connections");
  connection->dialled_ = key;
  const auto stream = tcp_.connect(remote, *connection, options_.dial_timeout);
  if (!stream) {
    connection->host_ = this;
    give_back(*connection);
    return std::unexpected(stream.error());
  }
  ++stats_.dialled;
  connection->open(*this, **stream);
  connection->remote_ = remote;
  return connection;
}

StreamHandler* Host::on_accept(TcpStream& stream) {
  if (inbound_ == options_.max_inbound) {
    ++stats_.refused_full;
    return nullptr;
  }
  Connection* const connection = take();
  if (connection == nullptr) return nullptr;
  ++inbound_;
  ++stats_.accepted;
  connection->dialled_.reset();
  connection->open(*this, stream);
  connection->session_.emplace(
      Session::recipient(options_.session, rng_, tcp_.reactor().now().mono));
  connection->arm();
  return connection;
}

void Host::give_back(Connection& connection) {
  if (connection.dirty_) {
    Connection** link = &dirty_;
    while (*link != &connection) link = &(*link)->next_;
    *link = connection.next_;
    connection.dirty_ = false;
  }
  if (connection.working_) std::erase(working_, &connection);
  connection.working_ = false;
  if (!connection.dialled_) --inbound_;
  connection.session_.reset();
  connection.stream_ = nullptr;
  connection.next_ = std::exchange(free_, &connection);
  --in_use_;
}

void Host::end_of_turn(Now) {
  while (dirty_ != nullptr) {
    Connection& connection = *dirty_;
    dirty_ = connection.next_;
    connection.next_ = nullptr;
    connection.dirty_ = false;
    connection.flush();
  }
  work();
}

// One slice each, in turn, until the turn has done enough; the rest is for the next.
void Host::work() {
  if (working_.empty()) return;
  uint64_t worked = 0;
  while (!working_.empty() && (worked == 0 || worked + kSliceSize <= options_.turn_bytes)) {
    Connection& connection = *working_.front();
    working_.pop_front();
    connection.working_ = false;
    if (!connection.session_ || !connection.session_->has_work()) continue;
    worked += connection.session_->advance(tcp_.reactor().now().mono);
    connection.mark_dirty();
    if (!connection.write_out()) continue;
    // What the socket does not take yet is gone on with when it does.
    if (connection.session_->has_work()) {
      connection.working_ = true;
      working_.push_back(&connection);
    }
  }
  ++stats_.work_turns;
  stats_.work_bytes += worked;
  stats_.work_bytes_peak = std::max(stats_.work_bytes_peak, worked);
  tcp_.reactor().post(again_);
}

}  // namespace beamline::rlpx
