#include "tests/sim/injection.h"

#include <algorithm>

#include "base/check.h"

namespace beamline::sim {
// ---- The users of the loop

void Injection::End::on_data(TcpStream& from, Lease lease) {
  BL_CHECK(&from == stream && !ended && !lease.empty());
  for (const uint8_t byte : lease.bytes()) BL_CHECK(byte == byte_at(received++));
}

void Injection::End::on_end(TcpStream& from) {
  BL_CHECK(&from == stream && !ended);
  ended = true;
  if (received % 2 == 0) from.close_after_flush();
}

void Injection::End::on_closed(TcpStream& from, const Error&) {
  BL_CHECK(&from == stream);
  stream = nullptr;
}

void Injection::End::write(size_t size, bool shared) {
  if (stream == nullptr) return;
  std::vector<uint8_t> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = byte_at(sent + i);
  const WriteResult result =
      shared ? stream->write(SharedBytes::copy(bytes)) : stream->write(Bytes(bytes));
  if (result == WriteResult::ok) sent += size;
}

StreamHandler* Injection::Server::on_accept(TcpStream& stream) {
  if (injection_.ends_.size() >= 4 * kClients) return nullptr;
  auto& end = injection_.ends_.emplace_back(std::make_unique<End>());
  end->stream = &stream;
  return end.get();
}

void Injection::Datagrams::on_datagram(UdpSocket& socket, const Endpoint& from, Lease payload) {
  ++received;
  for (size_t i = 1; i < payload.size(); ++i) BL_CHECK(payload.bytes()[i] == byte_at(i));
  if (payload.size() > 1 && payload.bytes()[0] == 0) {
    payload.bytes()[0] = 1;  // once back and no further
    static_cast<void>(socket.send(from, payload.bytes()));
  }
}

void Injection::Core::on_message(Message& message) {
  BL_CHECK(message.number == next[message.producer]++);
}

void Injection::LatePush::end_of_turn(Now) {
  const uint32_t count = std::exchange(wanted, 0);
  if (count > 0) injection_.push(2, count, false);
}

// ---- Set-up

ReactorOptions injection_reactor_options(uint64_t seed) {
  Rng rng(seed ^ 1);
  ReactorOptions options;
  options.events = static_cast<uint32_t>(rng.between(1, 32));
  options.inbox_messages = static_cast<uint32_t>(rng.between(1, 32));
  return options;
}

TcpOptions Injection::tcp_options(uint64_t seed) {
  Rng rng(seed ^ 2);
  TcpOptions options;
  options.max_streams = kClients;
  options.max_listeners = 1;
  options.buffer_count = 1u << rng.between(0, 3);
  options.buffer_size = 64u << rng.between(0, 4);
  options.write_chunks = static_cast<uint32_t>(rng.between(1, 8));
  options.write_chunk_size = 64u << rng.between(0, 4);
  options.write_nodes = options.write_chunks + static_cast<uint32_t>(rng.between(0, 8));
  options.send_batches = static_cast<uint32_t>(rng.between(0, 4));
  options.stream_queue_bytes = options.write_chunk_size * static_cast<uint32_t>(rng.between(1, 6));
  options.flush_timeout = seconds(2);
  return options;
}

Injection::Injection(Stage& stage, uint64_t seed, Bytes steps)
    : stage_(stage),
      steps_(steps),
      a_(stage.a()),
      b_(stage.b()),
      a_tcp_(*Tcp::create(a_, tcp_options(seed))),
      b_tcp_(*Tcp::create(b_, tcp_options(seed))) {
  ends_.reserve(4 * kClients + kClients);
  const UdpOptions udp{.max_datagram = 100, .buffer_count = 2, .send_slots = kInjectionSends};
  a_udp_ = *UdpSocket::open(a_, stage.a_local(), a_datagrams_, udp);
  b_udp_ = *UdpSocket::open(b_, stage.b_local(), b_datagrams_, udp);
  const auto listener = b_tcp_->listen(stage.b_local(), server_);
  BL_CHECK(listener.has_value());
  server_at_ = (*listener)->local();
  port_ = std::make_unique<InboxPort<Message>>(b_, core_);
  const std::array<InboxClass, 2> classes{InboxClass{.nodes = 8}, InboxClass{.nodes = 2}};
  for (auto& producer : producers_) producer = *port_->gate().make_producer(classes);
  b_.add_hook(late_push_);
}

Injection::~Injection() {
  for (auto& producer : producers_) producer = {};
  port_.reset();
  b_.remove_hook(late_push_);
}

// ---- Steps

void Injection::connect() {
  if (ends_.size() >= 4 * kClients) return;
  auto end = std::make_unique<End>();
  const auto stream = a_tcp_->connect(server_at_, *end, seconds(1));
  if (!stream) {
    BL_CHECK(stream.error().code == Code::full);
    return;
  }
  end->stream = *stream;
  ends_.push_back(std::move(end));
}

void Injection::act_on(End& end, uint8_t what, uint8_t how) {
  if (end.stream == nullptr) return;
  switch (what % 8) {
    case 0:
    case 1:
      return end.write(how * 3u, false);
    case 2:
      return end.write(how * 3u, true);
    case 3:
      return end.stream->pause();
    case 4:
      return end.stream->resume();
    case 5:
      return end.stream->shutdown_write();
    case 6:
      return end.stream->close_after_flush();
    default:
      return how % 4 == 0 ? end.stream->close() : end.stream->resume();
  }
}

void Injection::push(uint8_t producer, uint32_t count, bool chained) {
  auto& from = producers_[producer];
  uint64_t number = pushed_[producer];
  for (uint32_t i = 0; i < count; ++i) {
    const PushResult result = chained ? from.stage(kNumbered, {producer, number})
                                      : from.try_push(kNumbered, {producer, number});
    if (result == PushResult::closed) return;
    if (result == PushResult::ok) ++number;
  }
  if (!chained || from.commit() == PushResult::ok) pushed_[producer] = number;
}

void Injection::push_reserved() {
  auto reservation = producers_[1].reserve(kReserved);
  if (!reservation) return;
  const PushResult result = producers_[1].push(*reservation, {1, pushed_[1]});
  BL_CHECK(result != PushResult::full);
  if (result == PushResult::ok) ++pushed_[1];
}

void Injection::step(uint8_t what, uint8_t how) {
  switch (what % 16) {
    case 0:
      return connect();
    case 1:
      return push(how % 2, how / 16u, how % 4 < 2);
    case 2:
      return push_reserved();
    case 3:
      late_push_.wanted = 1 + how % 4u;
      return;
    case 4: {
      std::array<uint8_t, 255> bytes{};
      for (size_t i = 1; i < bytes.size(); ++i) bytes[i] = byte_at(i);
      bytes[0] = how % 2;
      UdpSocket& from = how % 3 == 0 ? *b_udp_ : *a_udp_;
      UdpSocket& to = how % 3 == 0 ? *a_udp_ : *b_udp_;
      static_cast<void>(from.send(to.local(), Bytes(bytes).first(how)));
      return;
    }
    case 5:
      return stage_.step_wall(how % 2 != 0, milliseconds((how - 128) * 1000));
    case 6:
      return stage_.run_for(milliseconds(how));  // the monotonic clock leaps as well
    case 7:
      return stage_.run_for(microseconds(how));
    default:
      if (!ends_.empty()) act_on(*ends_[how % ends_.size()], what, how);
  }
}

void Injection::check() {
  // Between turns no lease is out.
  BL_CHECK(a_tcp_->buffers().leased() + b_tcp_->buffers().leased() == 0);
  BL_CHECK(a_udp_->buffers().leased() + b_udp_->buffers().leased() == 0);
  BL_CHECK(a_.backend().in_flight() <= kInjectionOps && b_.backend().in_flight() <= kInjectionOps);
  for (const auto& end : ends_) {
    BL_CHECK(end->stream == nullptr || end->stream->queued() <= end->sent);
  }
  for (size_t i = 0; i < pushed_.size(); ++i) BL_CHECK(core_.next[i] <= pushed_[i]);
}

Injection::Traffic& Injection::Traffic::operator+=(const Traffic& more) {
  bytes += more.bytes;
  messages += more.messages;
  datagrams += more.datagrams;
  streams += more.streams;
  return *this;
}

Injection::Traffic Injection::traffic() const {
  Traffic all;
  all.datagrams = a_datagrams_.received + b_datagrams_.received;
  all.streams = ends_.size();
  for (const auto& end : ends_) all.bytes += end->received;
  for (const uint64_t count : core_.next) all.messages += count;
  return all;
}

void Injection::run() {
  for (size_t at = 0; at + 1 < steps_.size(); at += 2) {
    step(steps_[at], steps_[at + 1]);
    stage_.wake();
    // A few events of the world between two steps.
    for (uint8_t i = steps_[at] / 64; i > 0; --i) stage_.step();
    check();
  }
  finish();
}

void Injection::finish() {
  stage_.calm();
  // Nobody sleeps over a message, whatever was lost before.
  BL_CHECK(stage_.run_until([&] { return core_.next == pushed_; }, seconds(1)));
  // Every datagram's place comes back, and nobody is deaf.
  BL_CHECK(stage_.run_until([&] { return b_udp_->free_slots() == kInjectionSends; }, seconds(1)));
  BL_CHECK(b_udp_->send(a_udp_->local(), as_bytes("")) == SendResult::ok);
  stage_.wake();
  const uint64_t before = a_datagrams_.received;
  BL_CHECK(stage_.run_until([&] { return a_datagrams_.received > before; }, seconds(1)));
  a_.shutdown();
  b_.shutdown();
  for (const auto& end : ends_) BL_CHECK(end->stream == nullptr);
  check();
  BL_CHECK(a_.backend().in_flight() == 0 && b_.backend().in_flight() == 0);
  BL_CHECK(stage_.clean());
  BL_CHECK(core_.next == pushed_);
  BL_CHECK(producers_[0].try_push(kNumbered, {}) == PushResult::closed);
}

}  // namespace beamline::sim
