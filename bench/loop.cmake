beamline_bench(inbox_bench SOURCES inbox_bench.cc DEPS beamline_loop)
