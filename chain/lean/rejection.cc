#include "chain/lean/rejection.h"

#include "base/check.h"

namespace beamline::chain::lean {
namespace {

struct Row {
  const char* name;
  Code code;
  Fault fault = Fault::peer;
};

// In the order of the enumeration.
constexpr Row kRows[] = {
    {"BLOCK_SLOT_NOT_IN_FUTURE", Code::out_of_range},
    {"BLOCK_OLDER_THAN_LATEST_HEADER", Code::out_of_range},
    {"BLOCK_SLOT_MISMATCH", Code::mismatch},
    {"PARENT_ROOT_MISMATCH", Code::mismatch},
    {"STATE_ROOT_MISMATCH", Code::mismatch},
    {"UNKNOWN_PARENT_BLOCK", Code::not_found, Fault::local},
    {"PROPOSER_INDEX_OUT_OF_RANGE", Code::out_of_range},
    {"EMPTY_VALIDATOR_REGISTRY", Code::missing},
    {"WRONG_PROPOSER", Code::mismatch},
    {"TOO_MANY_ATTESTATION_DATA", Code::too_long},
    {"DUPLICATE_ATTESTATION_DATA", Code::duplicate},
    {"EMPTY_AGGREGATION_BITS", Code::missing},
    {"UNKNOWN_SOURCE_BLOCK", Code::not_found, Fault::local},
    {"UNKNOWN_TARGET_BLOCK", Code::not_found, Fault::local},
    {"UNKNOWN_HEAD_BLOCK", Code::not_found, Fault::local},
    {"SOURCE_AFTER_TARGET", Code::out_of_range},
    {"HEAD_OLDER_THAN_TARGET", Code::out_of_range},
    {"SOURCE_SLOT_MISMATCH", Code::mismatch},
    {"TARGET_SLOT_MISMATCH", Code::mismatch},
    {"HEAD_SLOT_MISMATCH", Code::mismatch},
    {"SOURCE_NOT_ANCESTOR_OF_TARGET", Code::mismatch},
    {"TARGET_NOT_ANCESTOR_OF_HEAD", Code::mismatch},
    {"ATTESTATION_TOO_FAR_IN_FUTURE", Code::out_of_range, Fault::local},
    {"ATTESTATION_SLOT_BEFORE_HEAD", Code::out_of_range},
    {"VALIDATOR_NOT_IN_STATE", Code::out_of_range},
    {"VALIDATOR_INDEX_OUT_OF_RANGE", Code::out_of_range},
    {"JUSTIFIED_SLOT_OUT_OF_RANGE", Code::out_of_range},
    {"INVALID_SIGNATURE", Code::bad_signature},
    {"INVALID_BLOCK_PROOF", Code::bad_signature},
    {"ANCHOR_STATE_ROOT_MISMATCH", Code::mismatch},
    {"HISTORY_TOO_LONG", Code::too_long},
    {"FORKS_OFF_BELOW_FLOOR", Code::out_of_range, Fault::local},
    {"INCONSISTENT_STATE", Code::mismatch, Fault::local},
};
static_assert(std::size(kRows) == kRejections);

const Row& row(Rejection rejection) {
  const auto index = static_cast<size_t>(rejection);
  BL_CHECK(index < std::size(kRows));
  return kRows[index];
}

}  // namespace

const char* name(Rejection rejection) { return row(rejection).name; }

Error error_of(Rejection rejection) {
  const Row& of = row(rejection);
  return {.field = of.name, .offset = 0, .code = of.code, .fault = of.fault};
}

bool is(const Error& error, Rejection rejection) { return error.field == row(rejection).name; }

}  // namespace beamline::chain::lean
