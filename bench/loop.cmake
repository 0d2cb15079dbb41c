beamline_bench(inbox_bench SOURCES inbox_bench.cc DEPS beamline_loop)
beamline_bench(inbox_tail_bench SOURCES inbox_tail_bench.cc DEPS beamline_loop)
beamline_bench(inbox_poll_bench SOURCES inbox_poll_bench.cc DEPS beamline_loop)
beamline_bench(wake_bench SOURCES wake_bench.cc DEPS beamline_loop)
