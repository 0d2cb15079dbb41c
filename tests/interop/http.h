// A blocking HTTP client for the REST interfaces of peers on loopback.
#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace beamline::interop {

// The JSON of GET 127.0.0.1:port/path; null when there is no answer within 3 s, or not JSON.
nlohmann::json get_json(uint16_t port, const std::string& path);
// The status of POST, without a body; 0 when there is no answer.
int post(uint16_t port, const std::string& path);

}  // namespace beamline::interop
