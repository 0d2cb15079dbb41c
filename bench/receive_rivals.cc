#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include <liburing.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "bench/receive_servers.h"

namespace beamline::bench {
namespace {

// ---- epoll

void wait_readable(int epoll) {
  epoll_event event;
  while (epoll_wait(epoll, &event, 1, -1) < 0) {
  }
}

int watch(int fd) {
  const int epoll = epoll_create1(0);
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
  return epoll;
}

}  // namespace

void sink_epoll(const EchoSetup& setup) {
  const int fd = accept_one(listen_and_tell(setup), false);
  const int epoll = watch(fd);
  std::vector<char> buffer(65'536);
  for (size_t received = 0;;) {
    wait_readable(epoll);
    const ssize_t n = recv(fd, buffer.data(), buffer.size(), 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) return;
    if (n > 0) received += static_cast<size_t>(n);
    if (received < kBatch) continue;
    received -= kBatch;
    if (send(fd, "k", 1, 0) != 1) die("send");
  }
}

void udp_epoll(const EchoSetup& setup) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof local;
  if (bind(fd, reinterpret_cast<sockaddr*>(&local), size) < 0) die("bind");
  getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size);
  tell_port(setup, ntohs(local.sin_port));
  const int epoll = watch(fd);
  constexpr unsigned kAtOnce = 32;
  std::vector<char> buffers(kAtOnce * 1472);
  std::array<mmsghdr, kAtOnce> messages{};
  std::array<iovec, kAtOnce> parts{};
  std::array<sockaddr_in6, kAtOnce> names{};
  for (unsigned i = 0; i < kAtOnce; ++i) {
    parts[i] = {&buffers[i * 1472], 1472};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
    messages[i].msg_hdr.msg_name = &names[i];
  }
  for (uint64_t received = 0;;) {
    wait_readable(epoll);
    for (mmsghdr& message : messages) message.msg_hdr.msg_namelen = sizeof names[0];
    const int n = recvmmsg(fd, messages.data(), kAtOnce, 0, nullptr);
    for (int i = 0; i < n; ++i) {
      const mmsghdr& message = messages[static_cast<size_t>(i)];
      if (message.msg_len == 0) return;
      if (++received % kDatagrams != 0) continue;
      sendto(fd, "k", 1, 0, static_cast<sockaddr*>(message.msg_hdr.msg_name),
             message.msg_hdr.msg_namelen);
    }
  }
}

// ---- liburing

namespace {

// Few and large: more of them are slower, because what is received then leaves the cache before
// its turn to be filled comes again.
constexpr unsigned kBuffers = 16;
constexpr size_t kBufferSize = 65'536;

struct RawSink {
  explicit RawSink(int socket) : fd(socket) {
    io_uring_params params{};
    params.flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP | IORING_SETUP_SINGLE_ISSUER |
                   IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    if (io_uring_queue_init_params(64, &ring, &params) < 0) die("io_uring");
    io_uring_register_ring_fd(&ring);
    void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    buffers = static_cast<io_uring_buf_ring*>(memory);
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<uint64_t>(buffers);
    registration.ring_entries = kBuffers;
    registration.bgid = 1;
    if (io_uring_register_buf_ring(&ring, &registration, 0) < 0) die("buffer ring");
    io_uring_buf_ring_init(buffers);
    for (unsigned id = 0; id < kBuffers; ++id) give(id, static_cast<int>(id));
    io_uring_buf_ring_advance(buffers, kBuffers);
  }
  void give(unsigned id, int place) {
    io_uring_buf_ring_add(buffers, &bytes[id * kBufferSize], kBufferSize, static_cast<uint16_t>(id),
                          kBuffers - 1, place);
  }
  void arm() {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring);
    io_uring_prep_recv_multishot(sqe, fd, nullptr, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 1;
    sqe->user_data = 1;
  }
  void answer() {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring);
    io_uring_prep_send(sqe, fd, "k", 1, MSG_NOSIGNAL);
    sqe->user_data = 0;
  }
  // False at the end of the stream.
  bool take(const io_uring_cqe& cqe) {
    if (cqe.user_data == 0) return true;
    if (cqe.res == 0 || (cqe.res < 0 && cqe.res != -ENOBUFS)) return false;
    if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) {
      give(cqe.flags >> IORING_CQE_BUFFER_SHIFT, returned++);
      received += static_cast<size_t>(cqe.res);
    }
    if ((cqe.flags & IORING_CQE_F_MORE) == 0) arm();
    if (received < kBatch) return true;
    received -= kBatch;
    answer();
    return true;
  }
  void run() {
    arm();
    for (bool open = true; open;) {
      io_uring_submit_and_wait(&ring, 1);
      unsigned head = 0, count = 0;
      io_uring_cqe* cqe = nullptr;
      io_uring_for_each_cqe(&ring, head, cqe) {
        ++count;
        open = take(*cqe) && open;
      }
      if (returned > 0) io_uring_buf_ring_advance(buffers, std::exchange(returned, 0));
      io_uring_cq_advance(&ring, count);
    }
    io_uring_queue_exit(&ring);
  }
  const int fd;
  io_uring ring{};
  io_uring_buf_ring* buffers = nullptr;
  int returned = 0;
  size_t received = 0;
  std::vector<uint8_t> bytes = std::vector<uint8_t>(kBuffers * kBufferSize);
};

}  // namespace

void sink_raw(const EchoSetup& setup) { RawSink(accept_one(listen_and_tell(setup), true)).run(); }

// ---- libuv

namespace {

std::array<char, 65'536> libuv_bytes;
size_t libuv_received = 0;

void libuv_allocate(uv_handle_t*, size_t, uv_buf_t* buffer) {
  *buffer = uv_buf_init(libuv_bytes.data(), libuv_bytes.size());
}

void libuv_read(uv_stream_t* stream, ssize_t n, const uv_buf_t*) {
  if (n < 0) return uv_stop(stream->loop);
  libuv_received += static_cast<size_t>(n);
  if (libuv_received < kBatch) return;
  libuv_received -= kBatch;
  char answer[] = "k";
  const uv_buf_t out = uv_buf_init(answer, 1);
  if (uv_try_write(stream, &out, 1) != 1) die("uv_try_write");
}

}  // namespace

void sink_libuv(const EchoSetup& setup) {
  const int fd = accept_one(listen_and_tell(setup), false);
  uv_loop_t loop;
  uv_loop_init(&loop);
  uv_tcp_t stream;
  uv_tcp_init(&loop, &stream);
  uv_tcp_open(&stream, fd);
  uv_read_start(reinterpret_cast<uv_stream_t*>(&stream), libuv_allocate, libuv_read);
  uv_run(&loop, UV_RUN_DEFAULT);
}

}  // namespace beamline::bench
