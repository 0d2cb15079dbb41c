// What a simulated world is like: its links, its kernels, and what goes wrong in them.
#pragma once

#include <cstdint>
#include <string>

#include "base/time.h"

namespace beamline::sim {

// Cases per million.
using Rate = uint32_t;
constexpr Rate kAlways = 1'000'000;

// One direction between two hosts.
struct Link {
  Duration latency_min = microseconds(200);
  Duration latency_max = microseconds(300);
  uint64_t bandwidth = 0;  // bytes per second; 0 is no limit
  Rate loss = 0;           // TCP: a retransmission's delay; UDP: the datagram is gone
  Rate duplicate = 0;      // UDP
  Rate reorder = 0;        // UDP: the datagram waits up to ten latencies more
};

// Every fault is off by default, and every delay of the kernel zero.
struct Options {
  Link link;  // between two hosts, unless Network::set_link says otherwise
  WallTime wall_start = WallTime::from_unix(1'800'000'000);

  // TCP.
  uint32_t send_buffer = 65'536;            // bytes a sender may have waiting
  uint32_t receive_buffer = 65'536;         // bytes on the wire and unread by the receiver
  uint32_t segment = 16'384;                // bytes that arrive at once, at most
  Duration retransmit = milliseconds(200);  // first; doubles up to 16 times itself
  Duration stall_timeout = seconds(20);     // unacknowledged for so long: ETIMEDOUT
  Duration connect_timeout = seconds(60);

  // Kernel.
  uint32_t max_ops = 16'384;
  uint32_t cq_capacity = 4'096;          // completions not reaped; when full, a multishot ends
  uint32_t udp_queue = 262'144;          // bytes waiting in a UDP socket; more is dropped
  Duration turn_cost = microseconds(1);  // REQUIRES: > 0. No reactor turns twice within it
  Duration completion_delay = {};        // at most; orders the sockets anew, never one socket's own
  Duration wake_delay = {};              // at most
  Duration schedule_delay = {};          // at most, from a cause to the turn

  // Faults.
  Rate short_read = 0;
  Rate short_write = 0;
  Rate reset = 0;                  // per segment that arrives; both sides
  Rate drop_more = 0;              // a multishot ends with a good completion
  Rate accept_error = 0;           // an accept ends with ECONNABORTED or EMFILE
  Rate partial_submit = 0;         // per enter: only some of the operations are handed over
  Rate spurious_turn = 0;          // per enter: it returns for no reason
  Rate cancel_late = 0;            // a cancellation takes up to 2 ms, and the result may win
  Duration partition_gap = {};     // mean time between partitions of two hosts; 0 is none
  Duration partition_length = {};  // at most

  bool trace = false;  // every record of the history as a line on stderr

  // Options drawn from a seed: each fault is off or has a rate of its own, buffers and queues may
  // be tiny. Different faults hide each other's bugs when all are always on.
  static Options swarm(uint64_t seed);
};

// One line, of what differs from the default.
std::string to_string(const Options& options);

}  // namespace beamline::sim
