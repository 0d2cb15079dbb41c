// What the functions of node/beamline.h share. No exception leaves them: each is a guarded() body.
#pragma once

#pragma GCC visibility push(default)
#include "node/beamline.h"
#pragma GCC visibility pop

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "node/block_decoder.h"
#include "node/embedded_core.h"
#include "node/host_records.h"

namespace beamline::node::abi {

// The `release` functions that are due. Bytes go on any thread, the core's too; what gave them back
// is called on a thread of the host's.
class ReleaseList {
 public:
  ReleaseList() = default;
  ReleaseList(const ReleaseList&) = delete;
  ReleaseList& operator=(const ReleaseList&) = delete;
  ~ReleaseList() { run(); }

  // A host's bytes without a copy. `keep()` decides once the push is over: without it nothing is
  // ever released.
  class Adopted;
  // Calls what is due. Any thread but the core's.
  void run();

 private:
  struct Node {
    ReleaseList* list = nullptr;
    Node* next = nullptr;
    bl_bytes bytes{};
    bool taken = false;
  };
  static void drop(void* context);
  std::atomic<Node*> due_{nullptr};
};

class ReleaseList::Adopted {
 public:
  Adopted(ReleaseList& list, const bl_bytes& bytes)
      : node_(new Node{.list = &list, .next = nullptr, .bytes = bytes, .taken = true}),
        shared_(SharedBytes::adopt(Bytes(bytes.data, bytes.size), &ReleaseList::drop, node_)) {}
  SharedBytes bytes() const { return shared_; }
  // The push failed, and everything that shared the bytes is gone but this.
  void give_back() { node_->taken = false; }

 private:
  Node* node_;
  SharedBytes shared_;
};

// What the first version of a struct had: the least that a caller may come with.
template <class T>
inline constexpr size_t kFirstSize = sizeof(T);
template <>
inline constexpr size_t kFirstSize<bl_command> = offsetof(bl_command, source);
template <>
inline constexpr size_t kFirstSize<bl_core_stats> = offsetof(bl_core_stats, votes_applied);
template <>
inline constexpr size_t kFirstSize<bl_import_result> = offsetof(bl_import_result, verdict);
template <>
inline constexpr size_t kFirstSize<bl_vote> = offsetof(bl_vote, head_slot);
template <>
inline constexpr size_t kFirstSize<bl_core_options> = offsetof(bl_core_options, verify_block);

// A struct of the caller's, whatever its version: what it does not reach is zero, what we do not
// know must be.
template <class T>
bool read_struct(const T* from, T& to) {
  static_assert(offsetof(T, size) == 0 && offsetof(T, version) == 4);
  constexpr size_t kLargest = 4096;
  if (from == nullptr || from->version < 1) return false;
  if (from->size < kFirstSize<T> || from->size > kLargest) return false;
  to = T{};
  std::memcpy(&to, from, std::min<size_t>(from->size, sizeof(T)));
  const auto* bytes = reinterpret_cast<const uint8_t*>(from);
  for (size_t i = sizeof(T); i < from->size; ++i) {
    if (bytes[i] != 0) return false;
  }
  return true;
}
template <class T>
bool is_writable(const T* to) {
  return to != nullptr && to->version >= 1 && to->size >= kFirstSize<T>;
}
// Fills `to`, as far as it reaches, but for its size and version.
template <class T>
void write_struct(T value, T* to) {
  value.size = to->size;
  value.version = to->version;
  std::memcpy(to, &value, std::min<size_t>(to->size, sizeof(T)));
}

template <class Body>
int32_t guarded(Body&& body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return BL_NO_MEMORY;
  } catch (const std::system_error&) {
    return BL_SYSTEM;
  } catch (...) {
    return BL_INTERNAL;
  }
}

inline Root root_of(const bl_root& root) { return Root::load(root.bytes); }
inline bl_root root_of(const Root& root) {
  bl_root made;
  std::memcpy(made.bytes, root.bytes.data(), sizeof made.bytes);
  return made;
}
inline chain::PeerHandle peer_of(bl_peer peer) { return {peer.index, peer.generation}; }

// The host's callbacks, on worker threads.
class CallbackClient final : public BlockClient {
 public:
  explicit CallbackClient(const bl_core_options& options)
      : verify_(options.verify_block),
        import_(options.import_block),
        import_result_(options.import_block_result),
        context_(options.worker_context) {}
  chain::Verdict verify(const chain::BlockInfo& block, chain::Origin) override;
  chain::ImportVerdict import(const chain::BlockInfo& block, chain::Origin) override;
  bool verifies_data() const override { return false; }

 private:
  using Callback = uint32_t (*)(void* context, const bl_block* block);
  using ResultCallback = uint32_t (*)(void* context, const bl_block* block,
                                      bl_import_result* result);
  chain::Verdict call(Callback callback, const chain::BlockInfo& block) const;
  const Callback verify_;
  const Callback import_;
  const ResultCallback import_result_;
  void* const context_;
};

// What a result of the host's says besides its verdict; null if it is well formed, else what is
// wrong.
const char* read_import_result(const bl_import_result& given, chain::ImportVerdict& verdict);

// What a command points to besides its own.
struct CommandParts {
  std::vector<bl_root> roots;
  std::vector<bl_data_wanted> wanted;
  std::vector<HostRecord> kept;
  std::vector<bl_record> records;
  Root store_anchor;
};
// Fills `out` from `command`; it points into it, and into `parts`.
void describe(const HostCommand& command, CommandParts& parts, bl_command& out);

}  // namespace beamline::node::abi

struct bl_core {
  using Command = beamline::node::HostCommand;
  bl_core(beamline::node::BlockFormat made, beamline::chain::ChainConfig config,
          uint32_t command_capacity);
  ~bl_core();

  // Before what may hold bytes of the host's.
  beamline::node::abi::ReleaseList releases;
  const beamline::node::BlockFormat format;
  std::unique_ptr<beamline::node::abi::CallbackClient> client;
  std::unique_ptr<beamline::node::Policy> policy;  // calls `client`
  beamline::node::EmbeddedCore program;
  beamline::ReactorThread thread;
  std::atomic<int64_t> producers{0};

  void (*on_command)(void* context, const bl_command* command) = nullptr;
  void* on_command_context = nullptr;
  std::thread command_thread;
  std::atomic<bool> closed{false};    // pushes are refused, or are about to be
  std::atomic<bool> stopping{false};  // the callback's thread is to end
  // The reader's: what it was given last.
  std::optional<Command> command;
  beamline::node::abi::CommandParts parts;

  bool next(bl_command& out);
  void run_commands();
};

struct bl_snapshot {
  beamline::node::Snapshots::Ref ref;
};

struct bl_producer {
  bl_core* core = nullptr;
  std::unique_ptr<beamline::node::InboxCorePort> port;
  beamline::ssz::Hasher hasher;
  std::set<beamline::chain::PeerHandle> peers;  // for each of them a place is kept
  std::string last_error;
  bl_producer_stats stats{};

  int32_t fail(int32_t result, const beamline::Error& error);
  int32_t fail(int32_t result, const char* why);
};
