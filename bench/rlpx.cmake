beamline_bench(rlpx_bench SOURCES rlpx_bench.cc DEPS beamline_rlpx)
