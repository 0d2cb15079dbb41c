// Values of leanSpec's containers from a vector's JSON: {"parentRoot": "0x..", "body": {...}}; a
// list may stand as it is or as {"data": [...]}.
#pragma once

#include <string>

#include "codec/hex.h"
#include "codec/ssz.h"
#include "tests/vectors/lean.h"

namespace beamline::lean_vectors {

// "proposer_index" as "proposerIndex".
inline std::string camel_case(std::string_view name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    const bool upper = name[i] == '_' && i + 1 < name.size();
    if (upper) ++i;
    out.push_back(upper ? static_cast<char>(std::toupper(name[i])) : name[i]);
  }
  return out;
}

inline std::vector<uint8_t> bytes_of(const Json& json) {
  return *parse_hex(json.get<std::string>(), 1 << 24);
}
inline Root root_of(const Json& json) { return Root::from(bytes_of(json)); }

// Fills an owned value of this type. Vectors are ours to trust: what does not fit throws or stops.
inline void read_value(const ssz::Type& type, const Json& outer, void* value) {
  using ssz::Kind;
  const bool wrapped = type.kind != Kind::container && outer.is_object() && outer.contains("data");
  const Json& json = wrapped ? outer.at("data") : outer;
  switch (type.kind) {
    case Kind::uint: {
      const auto number = json.get<uint64_t>();
      std::memcpy(value, &number, static_cast<size_t>(type.limit));
      return;
    }
    case Kind::vector: {  // of bytes: there are no others in what has an owned form
      const std::vector<uint8_t> bytes = bytes_of(json);
      BL_CHECK(bytes.size() == type.limit);
      std::memcpy(value, bytes.data(), bytes.size());
      return;
    }
    case Kind::bitlist: {
      auto& list = *static_cast<ssz::Bitlist*>(value);
      list = ssz::Bitlist::of_length(json.size());
      for (size_t i = 0; i < json.size(); ++i) list.set(i, json.at(i).get<bool>());
      return;
    }
    case Kind::list: {
      if (json.is_string()) {
        const std::vector<uint8_t> bytes = bytes_of(json);
        std::memcpy(type.list->resize(value, bytes.size()), bytes.data(), bytes.size());
        return;
      }
      auto* const data = static_cast<uint8_t*>(type.list->resize(value, json.size()));
      for (size_t i = 0; i < json.size(); ++i) {
        read_value(*type.element, json.at(i), data + i * type.element->value_size);
      }
      return;
    }
    case Kind::container:
      for (const ssz::Field& field : type.fields) {
        read_value(*field.type, json.at(camel_case(field.name)),
                   static_cast<uint8_t*>(value) + field.member);
      }
      return;
    default:
      BL_CHECK(false);
  }
}

template <class T>
T value_of(const ssz::Type& type, const Json& json) {
  T value{};
  read_value(type, json, &value);
  return value;
}

}  // namespace beamline::lean_vectors
