// The receivers that receive_bench.cc compares with ours. Each takes one connection (or what comes
// to one UDP socket), answers a byte after each batch, and returns when the sender is done.
#pragma once

#include <cstddef>

#include "bench/echo_servers.h"

namespace beamline::bench {

inline constexpr size_t kBatch = 1 << 20;   // bytes of a TCP batch
inline constexpr unsigned kDatagrams = 64;  // of a UDP batch
inline constexpr size_t kDatagram = 256;    // bytes

void sink_epoll(const EchoSetup& setup);  // epoll by hand, reads of 64 KiB into one buffer
void sink_raw(const EchoSetup& setup);    // liburing by hand, as in echo_raw.cc
void sink_libuv(const EchoSetup& setup);
void udp_epoll(const EchoSetup& setup);  // epoll and recvmmsg by hand

}  // namespace beamline::bench
