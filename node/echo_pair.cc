#include "node/echo_pair.h"

#include <algorithm>

namespace beamline {

TcpOptions echo_tcp_options(uint32_t connections, uint32_t size) {
  TcpOptions options;
  options.max_streams = connections;
  options.write_chunks = connections * (size / options.write_chunk_size + 2);
  options.write_nodes = options.write_chunks;
  options.send_batches = connections;
  options.stream_queue_bytes = std::max(options.stream_queue_bytes, 2 * size);
  return options;
}

void EchoServer::on_data(TcpStream& stream, Lease lease) {
  if (stream.write(lease.bytes()) == WriteResult::full) {
    stream.close({"echo queue", 0, Code::full, Fault::peer});
  }
}

// ---- EchoClients

class EchoClients::Connection final : public StreamHandler {
 public:
  explicit Connection(EchoClients& clients) : clients_(clients) {}

  void on_connected(TcpStream& stream) override { send(stream); }

  void on_data(TcpStream& stream, Lease lease) override {
    const Bytes bytes = lease.bytes();
    const Bytes expected = Bytes(clients_.message_).subspan(received_);
    if (bytes.size() > expected.size() || !equal(bytes, expected.first(bytes.size()))) {
      return stream.close({"echo", received_, Code::mismatch, Fault::peer});
    }
    received_ += static_cast<uint32_t>(bytes.size());
    if (received_ < clients_.size_) return;
    clients_.latencies_.record(stream.tcp().reactor().backend().now().mono - sent_);
    send(stream);
  }
  void on_end(TcpStream& stream) override {
    stream.close({"echo", received_, Code::closed, Fault::peer});
  }
  void on_closed(TcpStream& stream, const Error& why) override {
    if (!stream.tcp().reactor().stopping()) clients_.fail(why);
  }

 private:
  void send(TcpStream& stream) {
    received_ = 0;
    sent_ = stream.tcp().reactor().backend().now().mono;
    if (stream.write(Bytes(clients_.message_)) != WriteResult::ok) {
      stream.close({"echo", 0, Code::full, Fault::local});
    }
  }

  EchoClients& clients_;
  MonoTime sent_;
  uint32_t received_ = 0;
};

EchoClients::EchoClients(uint32_t connections, uint32_t size) : size_(size), message_(size) {
  for (uint32_t i = 0; i < size; ++i) message_[i] = static_cast<uint8_t>(i * 131 + 7);
  for (uint32_t i = 0; i < connections; ++i) {
    connections_.push_back(std::make_unique<Connection>(*this));
  }
}

EchoClients::~EchoClients() = default;

Status EchoClients::start(Tcp& tcp, const Endpoint& server) {
  for (const auto& connection : connections_) {
    const auto stream = tcp.connect(server, *connection, seconds(10));
    if (!stream) return std::unexpected(stream.error());
  }
  return {};
}

void EchoClients::fail(const Error& error) {
  if (failed_.load(std::memory_order_relaxed)) return;
  error_ = error;
  failed_.store(true, std::memory_order_release);
}

}  // namespace beamline
