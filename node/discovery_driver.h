// Drives a discovery::Service on a reactor: its UDP socket and its timer.
#pragma once

#include <memory>

#include "discovery/service.h"
#include "loop/udp.h"

namespace beamline::node {

class DiscoveryDriver final : public UdpHandler {
 public:
  // Listens at `listen`, port 0 picks one; `config.listen` becomes what was bound. `key` and
  // `observer` outlive it. Errors: those of UdpSocket::open() and Service::create().
  static Result<std::unique_ptr<DiscoveryDriver>> open(Reactor& reactor,
                                                       const secp256k1::SecretKey& key,
                                                       const Endpoint& listen,
                                                       discovery::ServiceConfig config,
                                                       discovery::Observer& observer, Rng rng);
  ~DiscoveryDriver() override;  // REQUIRES: the reactor has shut down, or close() and a turn

  discovery::Service& service() { return *service_; }
  const Endpoint& local() const { return socket_->local(); }
  const UdpStats& udp_stats() const { return socket_->stats(); }
  // Sends what the service has to say and sets the timer: after every call of the service's that
  // did not come from here.
  void pump();
  void close();

 private:
  explicit DiscoveryDriver(Reactor& reactor);
  void on_datagram(UdpSocket& socket, const Endpoint& from, Lease payload) override;
  void on_writable(UdpSocket&) override { pump(); }

  Reactor& reactor_;
  Timer timer_;
  std::unique_ptr<UdpSocket> socket_;
  std::unique_ptr<discovery::Service> service_;
};

}  // namespace beamline::node
