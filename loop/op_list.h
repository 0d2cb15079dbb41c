// Operations in a row, linked through Op::next; private to the backends.
#pragma once

#include "base/check.h"
#include "loop/op.h"

namespace beamline {

struct OpList {
  Op* first = nullptr;
  Op* last = nullptr;

  bool empty() const { return first == nullptr; }
  void append(Op& op) {
    op.next = nullptr;
    (last == nullptr ? first : last->next) = &op;
    last = &op;
  }
  // REQUIRES: not empty.
  Op& take_first() {
    BL_CHECK(first != nullptr);
    Op& op = *first;
    first = op.next;
    if (first == nullptr) last = nullptr;
    op.next = nullptr;
    return op;
  }
  // REQUIRES: it is in this list.
  void remove(Op& op) {
    Op* before = nullptr;
    for (Op* each = first; each != &op; each = each->next) before = each;
    (before == nullptr ? first : before->next) = op.next;
    if (last == &op) last = before;
    op.next = nullptr;
  }
};

}  // namespace beamline
