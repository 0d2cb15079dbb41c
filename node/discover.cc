// `beamline discover`: finds nodes by discv4 and discv5 and shows the table that they make.
//
// Discovery has a thread of its own; this one prints. What is seen comes here through an inbox, so
// that a slow terminal or disk stops nobody.
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <optional>
#include <variant>

#include "discovery/node_db_file.h"
#include "loop/inbox_port.h"
#include "loop/reactor_thread.h"
#include "node/backend_option.h"
#include "node/bootnode_option.h"
#include "node/commands.h"
#include "node/discover_program.h"
#include "node/identity.h"
#include "node/program_log.h"
#include "node/signal_stop.h"
#include "node/table_picture.h"

namespace beamline {
namespace {

using node::DiscoverProgram;
using node::DiscoverSeen;
using node::TableSnapshot;

struct DiscoverOptions {
  std::string listen = "0.0.0.0:9000";
  std::string identity;
  std::vector<std::string> bootnodes;
  std::string svg;
  std::string nodes;
  uint64_t seconds = 0;
};

// The whole picture at once: who looks at the file never sees half of one.
bool write_svg(const std::string& path, const TableSnapshot& snapshot) {
  const std::string fresh = path + ".new";
  {
    std::ofstream out(fresh, std::ios::binary | std::ios::trunc);
    out << node::table_svg(snapshot);
    if (!out.flush()) return false;
  }
  return std::rename(fresh.c_str(), path.c_str()) == 0;
}

class Printer final : public InboxReceiver<DiscoverSeen> {
 public:
  Printer(const std::string& svg, const std::string& nodes) : svg_(svg), nodes_(nodes) {}
  void on_message(DiscoverSeen& seen) override {
    if (const auto* counts = std::get_if<node::DiscoverCounts>(&seen)) return print(*counts);
    if (const auto* nodes = std::get_if<node::DiscoverNodes>(&seen)) {
      if (!nodes_.empty()) static_cast<void>(discovery::write_node_db(nodes_, nodes->bytes));
      return;
    }
    const auto& snapshot = std::get<std::unique_ptr<TableSnapshot>>(seen);
    if (snapshot != nullptr && !svg_.empty()) static_cast<void>(write_svg(svg_, *snapshot));
  }

 private:
  void print(const node::DiscoverCounts& counts) {
    if (last_ == counts) return;
    last_ = counts;
    std::printf("live %zu main %zu replacements %zu pool %zu\n", counts.live, counts.main,
                counts.replacements, counts.pool);
    std::fflush(stdout);
  }
  const std::string& svg_;
  const std::string& nodes_;
  std::optional<node::DiscoverCounts> last_;
};

constexpr CommandErrors kErrors("discover");

// What the last run kept; empty where there is none. A file that is something else is not written
// over.
std::vector<uint8_t> read_nodes(const std::string& path) {
  if (path.empty()) return {};
  auto bytes = discovery::read_node_db(path);
  if (bytes ? bytes->empty() : bytes.error().code == Code::not_found) return {};
  if (!bytes) throw std::runtime_error(path + ": " + explain(bytes.error()));
  Rng rng(uint64_t{0});
  const Status good = discovery::NodeDb({}, rng).decode(*bytes, Now{});
  if (!good && (good.error().code == Code::bad_encoding || good.error().code == Code::truncated)) {
    throw std::runtime_error(path + " is not a node database; name another file for --nodes");
  }
  return std::move(*bytes);
}

int finish(const DiscoverOptions& options, const DiscoverProgram& program) {
  std::printf("%s%llu datagrams received, %llu sent\n", table_text(program.last).c_str(),
              static_cast<unsigned long long>(program.datagrams_in),
              static_cast<unsigned long long>(program.datagrams_out));
  std::fflush(stdout);
  if (!options.nodes.empty()) {
    const Status written = discovery::write_node_db(options.nodes, program.last_nodes);
    if (!written) return kErrors.fail(options.nodes + ": " + explain(written.error()));
  }
  if (!options.svg.empty() && !write_svg(options.svg, program.last)) {
    return kErrors.fail(options.svg + ": " + std::strerror(errno));
  }
  return 0;
}

int run(const DiscoverOptions& options, const Endpoint& listen,
        std::vector<discovery::NodeRecord> bootnodes, std::vector<uint8_t> nodes,
        const secp256k1::SecretKey& key, Rng rng, ReactorThread::MakeBackend make_backend) {
  auto backend = make_backend();
  if (!backend) return kErrors.fail(explain(backend.error()));
  const auto reactor = std::move(*Reactor::create(std::move(*backend)));
  Printer printer(options.svg, options.nodes);
  std::optional<DiscoverProgram> program;
  {
    InboxPort<DiscoverSeen> port(*reactor, printer);
    const std::array<InboxClass, 1> classes = {InboxClass{.nodes = 64}};
    program.emplace(listen, std::move(bootnodes), std::move(nodes), key, std::move(rng),
                    std::move(*port.gate().make_producer(classes)));
    SignalStop signals(*reactor);
    Timer end([](Timer& timer) { static_cast<Reactor*>(timer.owner)->stop(); }, reactor.get());
    if (options.seconds > 0) {
      reactor->arm_in(end, seconds(static_cast<int64_t>(options.seconds)));
    }
    ReactorThread thread;
    if (const Status started = thread.start("discovery", make_backend, *program); !started) {
      reactor->shutdown();
      reactor->disarm(end);
      return kErrors.fail(explain(started.error()));
    }
    std::printf("%s\n%s\n", program->enode.c_str(), program->enr.c_str());
    std::fflush(stdout);
    if (!program->kept_read) {
      std::fprintf(stderr, "beamline discover: %s: %s; starting without its nodes\n",
                   options.nodes.c_str(), to_string(program->kept_read.error()).c_str());
    }
    while (!reactor->stopping()) reactor->turn();
    thread.stop();
    reactor->run();
    reactor->disarm(end);
  }
  return finish(options, *program);
}

}  // namespace

int discover_command(Arguments arguments) {
  DiscoverOptions options;
  CommandOptions parser("discover");
  parser.text("--listen", options.listen, "IP:PORT of our UDP socket; port 0 picks one");
  parser.text("--identity", options.identity, "file with our key; made if it is not there");
  parser.texts("--bootnode", options.bootnodes,
               "enode://... or enr:... of a node to begin with; may stand several times");
  parser.text("--svg", options.svg, "file for a picture of the buckets, kept up to date");
  parser.text("--nodes", options.nodes,
              "file for the nodes that answered, kept up to date: where the next run begins");
  parser.number("--for", options.seconds, 0, 1'000'000'000, "seconds to run; 0: until stopped");
  BackendOption backend;
  backend.declare(parser);
  if (const auto status = parser.parse_or_explain(arguments)) return *status;
  const auto listen = Endpoint::parse(options.listen);
  if (!listen)
    return kErrors.usage("--listen '" + options.listen + "' must be like 127.0.0.1:9000");
  std::vector<discovery::NodeRecord> bootnodes;
  const auto wrong = node::parse_bootnodes(options.bootnodes, kErrors, bootnodes);
  if (wrong) return *wrong;
  if (const auto status = backend.resolve("discover")) return *status;
  const ProgramLog log;
  try {
    Rng rng = Rng::from_system();
    const secp256k1::SecretKey key = options.identity.empty()
                                         ? secp256k1::SecretKey::generate(rng)
                                         : node::load_or_create_identity(options.identity, rng);
    return run(options, *listen, std::move(bootnodes), read_nodes(options.nodes), key,
               std::move(rng), backend.maker());
  } catch (const std::exception& e) {
    return kErrors.fail(e.what());
  }
}

}  // namespace beamline
