// The rival: liburing by hand, with all that makes it fast (deferred task work, multishot receives
// into a ring of buffers, one call per turn) and nothing that a real server needs besides.
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include <liburing.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "bench/echo_servers.h"

namespace beamline::bench {
namespace {

constexpr unsigned kBuffers = 512;
constexpr unsigned kBufferSize = 2048;
constexpr uint64_t kSent =
    1u << 16;  // user_data of a send: this and the buffer; else the connection

class RawServer {
 public:
  explicit RawServer(const EchoSetup& setup) : setup_(setup) {}
  void run() {
    set_up();
    const int listener = listen_and_tell(setup_);
    for (int i = 0; i < setup_.connections; ++i) {
      connections_.push_back(accept_one(listener, true));
      arm(static_cast<size_t>(i));
    }
    open_ = setup_.connections;
    while (open_ > 0) turn();
    io_uring_queue_exit(&ring_);
  }

 private:
  static void* map(size_t bytes) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED) die("mmap");
    return memory;
  }
  void set_up() {
    io_uring_params params{};
    params.flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE |
                   IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                   IORING_SETUP_TASKRUN_FLAG;
    params.cq_entries = 4096;
    if (io_uring_queue_init_params(512, &ring_, &params) < 0) die("io_uring");
    io_uring_register_ring_fd(&ring_);
    bytes_ = static_cast<uint8_t*>(map(kBuffers * kBufferSize));
    buffers_ = static_cast<io_uring_buf_ring*>(map(kBuffers * sizeof(io_uring_buf)));
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<uint64_t>(buffers_);
    registration.ring_entries = kBuffers;
    registration.bgid = 1;
    if (io_uring_register_buf_ring(&ring_, &registration, 0) < 0) die("buffer ring");
    io_uring_buf_ring_init(buffers_);
    for (unsigned id = 0; id < kBuffers; ++id) recycle(id);
    io_uring_buf_ring_advance(buffers_, static_cast<int>(std::exchange(returned_, 0u)));
  }
  uint8_t* address(unsigned id) { return bytes_ + static_cast<size_t>(id) * kBufferSize; }
  void recycle(unsigned id) {
    io_uring_buf_ring_add(buffers_, address(id), kBufferSize, static_cast<uint16_t>(id),
                          kBuffers - 1, static_cast<int>(returned_++));
  }
  void arm(size_t connection) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    io_uring_prep_recv_multishot(sqe, connections_[connection], nullptr, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 1;
    sqe->user_data = connection;
  }
  void received(const io_uring_cqe& cqe) {
    const auto connection = static_cast<size_t>(cqe.user_data);
    if (cqe.res <= 0) {
      if (cqe.res == -ENOBUFS) return arm(connection);
      --open_;
      return;
    }
    const unsigned id = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    io_uring_prep_send(sqe, connections_[connection], address(id), static_cast<size_t>(cqe.res),
                       MSG_NOSIGNAL | MSG_WAITALL);
    sqe->user_data = kSent | id;
    if ((cqe.flags & IORING_CQE_F_MORE) == 0) arm(connection);
  }
  void turn() {
    io_uring_submit_and_wait(&ring_, 1);
    unsigned head = 0, count = 0;
    io_uring_cqe* cqe = nullptr;
    io_uring_for_each_cqe(&ring_, head, cqe) {
      ++count;
      if (cqe->user_data >= kSent) {
        recycle(static_cast<unsigned>(cqe->user_data - kSent));
      } else {
        received(*cqe);
      }
    }
    if (returned_ > 0) {
      io_uring_buf_ring_advance(buffers_, static_cast<int>(std::exchange(returned_, 0u)));
    }
    io_uring_cq_advance(&ring_, count);
  }

  const EchoSetup& setup_;
  io_uring ring_{};
  io_uring_buf_ring* buffers_ = nullptr;
  uint8_t* bytes_ = nullptr;
  unsigned returned_ = 0;
  std::vector<int> connections_;
  int open_ = 0;
};

}  // namespace

void serve_raw(const EchoSetup& setup) { RawServer(setup).run(); }

}  // namespace beamline::bench
