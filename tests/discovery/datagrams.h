// What a node under test has to send, taken out of its queue.
#pragma once

#include <utility>
#include <vector>

#include "discovery/datagram_queue.h"

namespace beamline::discovery {

using Datagram = std::vector<uint8_t>;

inline std::vector<std::pair<Endpoint, Datagram>> take_all(DatagramQueue& queue) {
  std::vector<std::pair<Endpoint, Datagram>> out;
  while (!queue.empty()) {
    const auto front = queue.front();
    out.emplace_back(front.to, Datagram(front.bytes.begin(), front.bytes.end()));
    queue.pop();
  }
  return out;
}

}  // namespace beamline::discovery
