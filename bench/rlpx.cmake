beamline_bench(rlpx_bench SOURCES allocations.cc rlpx_bench.cc DEPS beamline_rlpx)
beamline_bench(rlpx_idle_bench SOURCES rlpx_idle_bench.cc DEPS beamline_execution)
