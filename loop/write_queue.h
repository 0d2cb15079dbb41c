// The pieces of a stream's write queue; private to loop/tcp*.cc.
#pragma once

#include <array>
#include <cstdint>

#include <sys/socket.h>
#include <sys/uio.h>

#include "base/bytes.h"

namespace beamline {

// A run of bytes to send: a part of a chunk that was filled here, or shared bytes.
struct WriteNode {
  static constexpr uint32_t kNoChunk = UINT32_MAX;

  WriteNode* next = nullptr;
  const uint8_t* data = nullptr;  // what is still to be sent
  size_t size = 0;
  SharedBytes shared;
  uint8_t* chunk = nullptr;
  uint32_t chunk_index = kNoChunk;
  uint32_t filled = 0;  // bytes of the chunk in use
};

// The vectors of one gathered send; they must not move until it has ended.
struct SendBatch {
  static constexpr size_t kPieces = 16;

  SendBatch* next = nullptr;
  msghdr message{};
  std::array<iovec, kPieces> pieces{};
};

}  // namespace beamline
