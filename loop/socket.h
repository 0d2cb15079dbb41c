// The system calls that set sockets up, shared by the backends that use real ones.
#pragma once

#include <cstdint>

#include "base/endpoint.h"
#include "base/error.h"
#include "loop/op.h"

namespace beamline::socket {

// io_uring waits for a blocking socket by itself, and answers EAGAIN on a non-blocking one; epoll
// needs the opposite.
enum class Mode : uint8_t { blocking, non_blocking };

// Errors: address_in_use and invalid_argument carry the port as the offset, others the errno.
Result<Socket> listen_tcp(const Endpoint& local, uint32_t backlog, Mode mode);
Result<Socket> open_tcp(sa_family_t family, Mode mode);
Result<Socket> open_udp(const Endpoint& local, Mode mode);
Endpoint local_endpoint(Socket socket);
Endpoint remote_endpoint(Socket socket);

}  // namespace beamline::socket
