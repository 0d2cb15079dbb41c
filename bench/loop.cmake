beamline_bench(inbox_bench SOURCES inbox_bench.cc DEPS beamline_loop)
beamline_bench(inbox_tail_bench SOURCES inbox_tail_bench.cc DEPS beamline_loop)
beamline_bench(inbox_poll_bench SOURCES inbox_poll_bench.cc DEPS beamline_loop)
find_package(PkgConfig REQUIRED)
pkg_check_modules(URING REQUIRED IMPORTED_TARGET liburing)
pkg_check_modules(LIBUV REQUIRED IMPORTED_TARGET libuv)
beamline_bench(wake_bench SOURCES wake_bench.cc DEPS beamline_loop PkgConfig::URING)
# The echo pair of the program, and its rivals.
beamline_bench(echo_bench SOURCES echo_bench.cc echo_raw.cc echo_reactor.cc echo_rivals.cc
               DEPS beamline_echo PkgConfig::URING PkgConfig::LIBUV)
beamline_bench(receive_bench SOURCES receive_bench.cc receive_rivals.cc echo_rivals.cc
               DEPS beamline_loop PkgConfig::URING PkgConfig::LIBUV)
beamline_bench(timer_bench SOURCES timer_bench.cc DEPS beamline_loop)
