// Constants of the io_uring interface that are newer than liburing 2.3 (Debian 12), from the
// kernel's include/uapi/linux/io_uring.h. Each names the Linux version that brought it.
#pragma once

namespace beamline::abi {

inline constexpr unsigned kEnterNoIowait = 1u << 7;     // IORING_ENTER_NO_IOWAIT, 6.15
inline constexpr unsigned kFeatureNoIowait = 1u << 17;  // IORING_FEAT_NO_IOWAIT, 6.15

}  // namespace beamline::abi
