// The echo servers that echo_bench.cc compares. Each listens on loopback, tells its port, accepts
// `connections`, sends back what comes on each, and returns when all have been closed.
#pragma once

#include <cstdint>

namespace beamline::bench {

struct EchoSetup {
  int port_pipe = -1;  // the port is written here, as two bytes
  int connections = 0;
};
using EchoServe = void (*)(const EchoSetup& setup);

void serve_reactor(const EchoSetup& setup);        // ours
void serve_reactor_epoll(const EchoSetup& setup);  // ours, on its epoll backend
void serve_raw(const EchoSetup& setup);            // liburing, by hand
void serve_epoll(const EchoSetup& setup);          // epoll, by hand
void serve_libuv(const EchoSetup& setup);

// Shared by the rivals: a blocking listener whose port has been told, and one accepted connection.
int listen_and_tell(const EchoSetup& setup);
int accept_one(int listener, bool blocking);
void tell_port(const EchoSetup& setup, uint16_t port);
[[noreturn]] void die(const char* what);

}  // namespace beamline::bench
