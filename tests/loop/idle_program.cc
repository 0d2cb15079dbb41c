// An idle reactor for idle_test.cc to trace: a listener, and a timer that ends it after five
// seconds.
#include <cstdio>

#include <unistd.h>

#include "loop/ring.h"
#include "loop/tcp.h"

namespace beamline {
namespace {

class NoStream final : public ListenerHandler {
 public:
  StreamHandler* on_accept(TcpStream&) override { return nullptr; }
};

int idle() {
  auto backend = make_ring();
  if (!backend) return std::fprintf(stderr, "%s\n", to_string(backend.error()).c_str()), 1;
  auto reactor = std::move(*Reactor::create(std::move(*backend)));
  auto tcp = std::move(*Tcp::create(*reactor));
  NoStream handler;
  if (!tcp->listen(Endpoint::loopback(0), handler)) return 1;
  struct End {
    Reactor& reactor;
    uint64_t enters = 0;
    Timer timer{[](Timer& t) {
                  auto& self = *static_cast<End*>(t.owner);
                  self.enters = self.reactor.backend().stats().enters;
                  self.reactor.stop();
                },
                this};
  } end{.reactor = *reactor};
  reactor->arm_in(end.timer, seconds(5));
  // Marks for the trace where the idling begins.
  if (write(STDERR_FILENO, "", 0) != 0) return 1;
  reactor->run();
  std::fprintf(stderr, "%llu enters\n", static_cast<unsigned long long>(end.enters));
  return end.enters == 1 ? 0 : 1;
}

}  // namespace
}  // namespace beamline

int main() { return beamline::idle(); }
