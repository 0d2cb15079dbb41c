#include "node/chain_file.h"

#include <fstream>
#include <stdexcept>

#include "codec/rlp.h"

namespace beamline::node {
namespace {

std::vector<uint8_t> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error(path + ": cannot be read");
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

ChainFile::ChainFile(const ExecutionGenesis& genesis, const std::string& path,
                     const std::string& receipts)
    : genesis_(genesis.encoding), bytes_(read_file(path)), tip_(genesis.header) {
  headers_.push_back(genesis_);
  hashes_.push_back(genesis.hash);
  numbers_.emplace(genesis.hash, 0);
  rlp::Writer writer(bodies_bytes_);
  writer.list_header(2);
  writer.list_header(0);
  writer.list_header(0);
  bodies_.emplace_back(0, bodies_bytes_.size());
  read_blocks(genesis, path);
  if (!receipts.empty()) read_receipts(receipts);
}

void ChainFile::read_blocks(const ExecutionGenesis& genesis, const std::string& path) {
  rlp::Reader blocks(bytes_);
  rlp::Writer writer(bodies_bytes_);
  while (!blocks.at_end()) {
    const uint64_t number = headers_.size();
    const auto refuse = [&](const Error& error) {
      throw std::runtime_error(path + ": block " + std::to_string(number) + ": " +
                               to_string(error));
    };
    const auto item = blocks.next("block");
    if (!item) refuse(item.error());
    if (const Status canonical = rlp::verify(item->encoding, "block"); !canonical) {
      refuse(canonical.error());
    }
    auto block = rlp::parse_list(item->encoding, "block");
    if (!block) refuse(block.error());
    const auto encoding = block->next("header");
    if (!encoding) refuse(encoding.error());
    const auto header = ExecutionHeader::decode(encoding->encoding);
    if (!header) refuse(header.error());
    if (const Status fits = chain::check_header(genesis.forks, tip_, *header); !fits) {
      const bool other = number == 1 && header->number == 1 && header->parent_hash != genesis.hash;
      if (other) throw std::runtime_error(path + ": block 1 is of another genesis");
      refuse(fits.error());
    }
    const size_t begin = bodies_bytes_.size();
    const auto mark = writer.begin_list();
    while (!block->at_end()) writer.raw(block->next("body")->encoding);
    writer.end_list(mark);
    bodies_.emplace_back(begin, bodies_bytes_.size() - begin);
    headers_.push_back(header->encoding);
    hashes_.push_back(header->hash());
    numbers_.emplace(hashes_.back(), number);
    tip_ = chain::ParentHeader::of(*header, hashes_.back());
  }
}

void ChainFile::read_receipts(const std::string& path) {
  receipt_bytes_ = read_file(path);
  receipts_.emplace_back();  // of genesis
  rlp::Reader lists(receipt_bytes_);
  while (!lists.at_end()) {
    const auto item = lists.next("receipts");
    if (!item || !item->is_list) {
      throw std::runtime_error(path + ": the receipts of block " +
                               std::to_string(receipts_.size()) + " are not an RLP list");
    }
    receipts_.push_back(item->encoding);
  }
  if (receipts_.size() != headers_.size()) {
    throw std::runtime_error(path + ": has the receipts of " +
                             std::to_string(receipts_.size() - 1) + " blocks, the chain has " +
                             std::to_string(head()));
  }
}

std::optional<uint64_t> ChainFile::number_of(const Hash256& hash) const {
  const auto it = numbers_.find(hash);
  if (it == numbers_.end()) return std::nullopt;
  return it->second;
}

Bytes ChainFile::header(uint64_t number) const {
  return number < headers_.size() ? headers_[number] : Bytes();
}

Bytes ChainFile::body(uint64_t number) const {
  if (number >= bodies_.size()) return {};
  return Bytes(bodies_bytes_).subspan(bodies_[number].first, bodies_[number].second);
}

Bytes ChainFile::receipts(uint64_t number) const {
  return number < receipts_.size() ? receipts_[number] : Bytes();
}

}  // namespace beamline::node
