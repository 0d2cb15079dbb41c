// TCP on a reactor: listeners, and streams with a bounded write queue.
//
// All streams, and the memory of their write queues, are allocated at start-up: nothing is
// allocated per connection or per operation after that. Every call is made on the reactor's thread.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/error.h"
#include "loop/reactor.h"

namespace beamline {

class Tcp;
class TcpStream;
struct WriteNode;
struct SendBatch;

// What a stream tells its user. Any of these may write, pause or close the stream.
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  // A stream that connect() returned is open. (An accepted one is open from the start.)
  virtual void on_connected(TcpStream&) {}
  // Bytes in the order they were sent. The lease may be decrypted in place; it must be gone by the
  // end of the turn.
  virtual void on_data(TcpStream& stream, Lease lease) = 0;
  // The peer will send no more. Writing is still possible; close when done.
  virtual void on_end(TcpStream& stream) = 0;
  // After a write that was refused as full: half of the queue is free again.
  virtual void on_writable(TcpStream&) {}
  // The last call. The stream goes back to its slab when this returns. `why`: closed when we asked
  // for it, timed_out (connect, or a flush that took too long), reset, unreachable, refused, ...
  virtual void on_closed(TcpStream& stream, const Error& why) = 0;
};

class ListenerHandler {
 public:
  virtual ~ListenerHandler() = default;
  // A connection was accepted. Null refuses it: it is closed without another call.
  virtual StreamHandler* on_accept(TcpStream& stream) = 0;
};

enum class WriteResult : uint8_t {
  ok,      // all of it was taken
  full,    // nothing was taken: the queue of this stream, or the memory of all, is full
  closed,  // nothing was taken: the stream is closing or its sending side was shut down
};

struct TcpOptions {
  uint32_t max_streams = 1024;
  uint32_t max_listeners = 8;
  uint32_t buffer_count = 128;  // receive buffers of all streams; a power of two
  uint32_t buffer_size = 65'536;
  uint32_t write_chunks = 1024;  // send memory of all streams, in chunks
  uint32_t write_chunk_size = 16'384;
  uint32_t write_nodes = 8192;   // queued pieces (chunks and shared bytes) of all streams
  uint32_t send_batches = 1024;  // gathered sends in flight; a stream without one sends alone
  uint32_t stream_queue_bytes = 4u << 20;  // write queue of one stream
  uint32_t backlog = 1024;
  Duration flush_timeout = seconds(5);  // of close_after_flush()
};

struct TcpStats {
  uint64_t accepted = 0;
  uint64_t connected = 0;
  uint64_t closed = 0;
  uint64_t refused_slots = 0;  // accepted, but no stream was free
  uint64_t refused_user = 0;
  uint64_t accept_errors = 0;     // out of file descriptors, mostly
  uint64_t writes_full = 0;       // refused: the stream's queue
  uint64_t writes_no_memory = 0;  // refused: the chunks or nodes of all streams
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  uint64_t sends = 0;
  uint64_t gathered = 0;  // of them, with more than one piece
  uint64_t short_sends = 0;
  uint64_t starved = 0;  // receives that ended because no buffer was free
};

class TcpStream {
 public:
  TcpStream(const TcpStream&) = delete;
  TcpStream& operator=(const TcpStream&) = delete;
  ~TcpStream();

  // Copies. What is written in one turn leaves in one system call at its end.
  WriteResult write(Bytes bytes);
  // Shares: no copy.
  WriteResult write(SharedBytes bytes);
  // Write without a copy: at least `size` contiguous bytes to fill, then commit(n), n <= what was
  // given. Empty when full or closed. REQUIRES: size <= write_chunk_size; no other write between.
  MutableBytes write_space(size_t size);
  void commit(size_t n);
  size_t queued() const { return queued_; }

  // Stops receiving: the peer is slowed down by TCP's window. What had arrived already may still be
  // delivered.
  void pause();
  void resume();
  bool paused() const { return paused_; }

  // No more writes; the peer sees the end after what is queued. Receiving goes on.
  void shutdown_write();
  // Sends what is queued, then the end, waits for the peer's end, and closes; at most
  // flush_timeout. Data that arrives meanwhile is dropped.
  void close_after_flush();
  // Closes now; what is queued is dropped. on_closed comes later, never from inside this call.
  void close(const Error& why = Error{"", 0, Code::closed, Fault::local});

  void set_handler(StreamHandler& handler) { handler_ = &handler; }
  // For the handler's use.
  void* user = nullptr;

  bool open() const { return state_ == State::open; }
  const Endpoint& remote() const { return remote_; }
  bool outbound() const { return outbound_; }
  Tcp& tcp() const { return *tcp_; }

 private:
  friend class Tcp;
  enum class State : uint8_t { free, connecting, open, flushing, closing };

  TcpStream();
  static TcpStream& self(Op& op) { return *static_cast<TcpStream*>(op.owner); }
  static void on_recv(Op& op, Completion&& completion);
  static void on_send(Op& op, Completion&& completion);
  static void on_connect(Op& op, Completion&& completion);
  static void on_shutdown(Op& op, Completion&& completion);

  bool writable() const;
  WriteResult refuse(uint64_t& counter);
  WriteResult refuse_memory();
  void offer_writable();
  WriteNode* append_node();
  void mark_dirty();
  void flush();
  void arm_recv();
  void sent(size_t n);
  void end_write_if_flushed();
  void close_if_idle();
  void drop_queue();

  Tcp* tcp_ = nullptr;
  StreamHandler* handler_ = nullptr;
  Op recv_, send_, control_;
  Timer timer_;
  Ready closed_;
  BufferWaiter waiter_;
  Endpoint remote_;
  Error why_;
  WriteNode* first_ = nullptr;
  WriteNode* last_ = nullptr;
  SendBatch* batch_ = nullptr;
  TcpStream* next_ = nullptr;  // free, or dirty
  size_t queued_ = 0;
  Socket socket_;
  State state_ = State::free;
  bool outbound_ = false;
  bool paused_ = false;
  bool dirty_ = false;
  bool want_writable_ = false;
  bool end_written_ = false;  // shutdown_write() was asked for
  bool end_sent_ = false;     // and has been submitted
  bool end_received_ = false;
};

class TcpListener {
 public:
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;
  ~TcpListener();

  Endpoint local() const { return local_; }
  // Accepts no more. The listener is gone at some later turn.
  void close();

 private:
  friend class Tcp;
  TcpListener();
  static void on_accept(Op& op, Completion&& completion);
  void arm();
  void close_if_idle();

  Tcp* tcp_ = nullptr;
  ListenerHandler* handler_ = nullptr;
  Op accept_;
  Timer retry_;
  Endpoint local_;
  Socket socket_;
  bool closing_ = false;
};

class Tcp final : public Service {
 public:
  // Fails with invalid_argument, naming the option, or with what the backend says.
  static Result<std::unique_ptr<Tcp>> create(Reactor& reactor, const TcpOptions& options = {});
  ~Tcp() override;  // REQUIRES: quiet()

  // Port 0 picks a free one; see TcpListener::local(). Errors: address_in_use (with the port),
  // full (max_listeners), invalid_argument.
  Result<TcpListener*> listen(const Endpoint& local, ListenerHandler& handler);
  // on_connected or on_closed follows, by the deadline. Writes before that are queued. Errors: full
  // (max_streams), io_error.
  Result<TcpStream*> connect(const Endpoint& remote, StreamHandler& handler, Duration deadline);

  uint32_t streams() const { return streams_in_use_; }
  uint32_t max_streams() const { return options_.max_streams; }
  const TcpOptions& options() const { return options_; }
  const TcpStats& stats() const { return stats_; }
  Reactor& reactor() { return reactor_; }
  BufferPool& buffers() { return pool_; }

  void end_turn() override;
  void begin_shutdown() override;
  bool quiet() const override { return streams_in_use_ == 0 && listeners_in_use_ == 0; }

 private:
  friend class TcpStream;
  friend class TcpListener;
  static constexpr uint16_t kPoolGroup = 1;

  Tcp(Reactor& reactor, const TcpOptions& options);
  TcpStream* take_stream(Socket socket, StreamHandler* handler, TcpStream::State state);
  void accepted(TcpListener& listener, Socket socket);
  void release(TcpStream& stream);
  WriteNode* take_node();
  bool take_chunk(WriteNode& node);
  void release(WriteNode* node);
  void offer_memory();
  bool has_nodes(size_t count) const { return count <= free_node_count_; }
  size_t chunk_bytes() const {
    return static_cast<size_t>(options_.write_chunks) * options_.write_chunk_size;
  }

  Reactor& reactor_;
  const TcpOptions options_;
  BufferPool pool_;
  std::unique_ptr<TcpStream[]> streams_;
  std::unique_ptr<TcpListener[]> listeners_;
  std::unique_ptr<WriteNode[]> nodes_;
  std::unique_ptr<SendBatch[]> batches_;
  uint8_t* chunks_ = nullptr;
  TcpStream* free_streams_ = nullptr;
  TcpStream* dirty_ = nullptr;
  WriteNode* free_nodes_ = nullptr;
  SendBatch* free_batches_ = nullptr;
  std::unique_ptr<uint32_t[]> free_chunks_;
  uint32_t free_chunk_count_ = 0;
  uint32_t free_node_count_ = 0;
  uint32_t streams_in_use_ = 0;
  uint32_t listeners_in_use_ = 0;
  bool shutting_down_ = false;
  bool pool_added_ = true;
  bool memory_wanted_ = false;  // a write was refused for want of it
  TcpStats stats_;
};

}  // namespace beamline
