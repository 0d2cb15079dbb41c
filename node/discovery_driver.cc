#include "node/discovery_driver.h"

namespace beamline::node {

DiscoveryDriver::DiscoveryDriver(Reactor& reactor)
    : reactor_(reactor),
      timer_(
          [](Timer& timer) {
            auto& self = *static_cast<DiscoveryDriver*>(timer.owner);
            self.service_->handle_timeout(self.reactor_.now());
            self.pump();
          },
          this) {
  timer_.name = "discovery";
}

DiscoveryDriver::~DiscoveryDriver() { reactor_.disarm(timer_); }

Result<std::unique_ptr<DiscoveryDriver>> DiscoveryDriver::open(
    Reactor& reactor, const secp256k1::SecretKey& key, const Endpoint& listen,
    discovery::ServiceConfig config, discovery::Observer& observer, Rng rng) {
  std::unique_ptr<DiscoveryDriver> driver(new DiscoveryDriver(reactor));
  UdpOptions options;
  options.max_datagram = discovery::DatagramQueue::kMaxSize;
  auto socket = UdpSocket::open(reactor, listen, *driver, options);
  if (!socket) return std::unexpected(socket.error());
  driver->socket_ = std::move(*socket);
  config.listen = driver->socket_->local();
  auto service = discovery::Service::create(key, config, observer, std::move(rng), reactor.now());
  if (!service) return std::unexpected(service.error());
  driver->service_ = std::move(*service);
  driver->pump();
  return driver;
}

void DiscoveryDriver::on_datagram(UdpSocket&, const Endpoint& from, Lease payload) {
  if (service_ == nullptr) return;
  service_->receive(from, payload.bytes(), reactor_.now());
  payload.reset();
  pump();
}

void DiscoveryDriver::pump() {
  discovery::DatagramQueue& outbox = service_->outbox();
  while (!outbox.empty()) {
    const auto datagram = outbox.front();
    if (socket_->send(datagram.to, datagram.bytes) == SendResult::full) break;
    outbox.pop();
  }
  reactor_.disarm(timer_);
  const MonoTime next = service_->next_deadline();
  if (socket_->open() && next != MonoTime::never()) reactor_.arm(timer_, next);
}

void DiscoveryDriver::close() {
  reactor_.disarm(timer_);
  socket_->close();
}

}  // namespace beamline::node
