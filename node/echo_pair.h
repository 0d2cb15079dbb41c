// An echo server and its clients, as handlers of the loop: the smallest complete use of it. They
// run on any backend; the command `beamline echo`, the tests and the benchmarks share them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "loop/tcp.h"
#include "node/latency.h"

namespace beamline {

// Options of a Tcp that hold `connections` with `size` bytes under way on each.
TcpOptions echo_tcp_options(uint32_t connections, uint32_t size);

// Sends back what it gets. A peer that does not read is closed when its queue is full.
class EchoServer final : public ListenerHandler, public StreamHandler {
 public:
  StreamHandler* on_accept(TcpStream&) override { return this; }
  void on_data(TcpStream& stream, Lease lease) override;
  void on_end(TcpStream& stream) override { stream.close_after_flush(); }
  void on_closed(TcpStream&, const Error&) override { ++closed_; }

  uint64_t closed() const { return closed_; }

 private:
  uint64_t closed_ = 0;
};

// Opens connections and sends a message on each, again as soon as it came back whole. Another
// thread may read latencies() and error_seen() while it runs.
class EchoClients {
 public:
  EchoClients(uint32_t connections, uint32_t size);
  ~EchoClients();

  Status start(Tcp& tcp, const Endpoint& server);

  const LatencyHistogram& latencies() const { return latencies_; }
  // A connection that could not be made or that ended, or a byte that came back wrong.
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  // REQUIRES: failed().
  const Error& error() const { return error_; }

 private:
  class Connection;
  void fail(const Error& error);

  const uint32_t size_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<uint8_t> message_;
  LatencyHistogram latencies_;
  Error error_;
  std::atomic<bool> failed_{false};
};

}  // namespace beamline
