// A TCP proxy on loopback that can cut what goes through it: the network between us and a peer.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

namespace beamline::interop {

class Proxy {
 public:
  // Listens on a free port and forwards to `target`.
  explicit Proxy(uint16_t target);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  uint16_t port() const { return port_; }
  // While cut, connections are dropped and new ones are closed at once.
  void cut(bool on) { cut_.store(on); }

 private:
  void run();

  int listener_ = -1;
  int wake_ = -1;
  uint16_t port_ = 0;
  const uint16_t target_;
  std::atomic<bool> cut_{false};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace beamline::interop
