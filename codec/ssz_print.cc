// Checked bytes as text.

#include "codec/hex.h"
#include "codec/ssz.h"

namespace beamline::ssz {
namespace {

// A value whose children are being printed.
struct Frame {
  const Type* type = nullptr;
  Bytes bytes;
  size_t next = 0;
  size_t count = 0;

  View view() const { return View::trust(*type, bytes); }
};

bool is_bytes(const Type& type) {
  return type.element != nullptr && type.element->kind == Kind::uint &&
         type.element->fixed_size == 1;
}

class Printer {
 public:
  explicit Printer(size_t max_size) : max_size_(max_size) {}

  std::string run(const View& root) {
    enter(root);
    while (depth_ != 0 && text_.size() <= max_size_) {
      Frame& frame = stack_[depth_ - 1];
      const bool container = frame.type->kind == Kind::container;
      if (frame.next == frame.count) {
        text_ += container ? "}" : "]";
        --depth_;
        continue;
      }
      if (frame.next != 0) text_ += ", ";
      const size_t index = frame.next++;
      if (container) text_.append(frame.type->fields[index].name).append(": ");
      enter(container ? frame.view().field(index) : frame.view().at(index));
    }
    if (text_.size() > max_size_) {
      text_.resize(max_size_ < kMore.size() ? 0 : max_size_ - kMore.size());
      text_ += kMore;
    }
    return std::move(text_);
  }

 private:
  static constexpr std::string_view kMore = "...";

  // Prints a leaf, or begins a value that has children.
  void enter(const View& view) {
    const Type& type = view.type();
    switch (type.kind) {
      case Kind::boolean:
        text_ += view.as_bool() ? "true" : "false";
        return;
      case Kind::uint:
        if (type.fixed_size <= 8) {
          text_ += std::to_string(view.as_uint());
        } else {
          print_wide(view.bytes());
        }
        return;
      case Kind::bitvector:
      case Kind::bitlist:
        text_ += "0b";
        for (size_t i = 0; i < view.size() && text_.size() <= max_size_; ++i) {
          text_ += view.bit(i) ? '1' : '0';
        }
        return;
      case Kind::vector:
      case Kind::list:
        if (is_bytes(type)) {
          // No more than can be shown.
          const size_t room = max_size_ < text_.size() ? 0 : max_size_ - text_.size();
          text_ += to_hex0x(view.bytes().first(std::min(view.bytes().size(), room / 2 + 1)));
          return;
        }
        text_ += "[";
        break;
      case Kind::container:
        text_ += "{";
        break;
    }
    BL_CHECK(depth_ < stack_.size());
    stack_[depth_++] = {&type, view.bytes(), 0, view.size()};
  }

  // A little-endian integer that is wider than 8 bytes, in hex, highest digit first.
  void print_wide(Bytes bytes) {
    const std::vector<uint8_t> reversed(bytes.rbegin(), bytes.rend());
    text_ += to_hex0x(reversed);
  }

  size_t max_size_;
  std::string text_;
  std::array<Frame, kMaxDepth> stack_;
  size_t depth_ = 0;
};

}  // namespace

std::string to_text(const View& view, size_t max_size) { return Printer(max_size).run(view); }

}  // namespace beamline::ssz
