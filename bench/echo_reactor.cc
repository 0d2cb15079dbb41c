#include "bench/echo_servers.h"
#include "loop/epoll.h"
#include "loop/ring.h"
#include "node/echo_pair.h"

namespace beamline::bench {
namespace {

class StopWhenAllClosed final : public TurnHook {
 public:
  StopWhenAllClosed(Reactor& reactor, const EchoServer& server, uint64_t connections)
      : reactor_(reactor), server_(server), connections_(connections) {}
  void end_of_turn(Now) override {
    if (server_.closed() == connections_) reactor_.stop();
  }

 private:
  Reactor& reactor_;
  const EchoServer& server_;
  const uint64_t connections_;
};

void serve_on(Result<std::unique_ptr<Backend>> backend, const EchoSetup& setup) {
  if (!backend) die("backend");
  const auto reactor = std::move(*Reactor::create(std::move(*backend)));
  const auto tcp = std::move(*Tcp::create(*reactor));
  EchoServer server;
  StopWhenAllClosed hook(*reactor, server, static_cast<uint64_t>(setup.connections));
  reactor->add_hook(hook);
  const auto listener = tcp->listen(Endpoint::loopback(0), server);
  if (!listener) die("listen");
  tell_port(setup, (*listener)->local().port());
  reactor->run();
  reactor->remove_hook(hook);
}

}  // namespace

void serve_reactor(const EchoSetup& setup) { serve_on(make_ring(), setup); }
void serve_reactor_epoll(const EchoSetup& setup) { serve_on(make_epoll(), setup); }

}  // namespace beamline::bench
