find_package(GTest REQUIRED)  # the simulated peers are the tests'
beamline_bench(chain_gap_bench SOURCES chain_gap_bench.cc DEPS beamline_chain GTest::gtest)
beamline_bench(chain_flood_bench SOURCES chain_flood_bench.cc chain_flood.cc
               chain_flood_inbox.cc chain_flood_mutex.cc DEPS beamline_node GTest::gtest)
beamline_bench(chain_memory_bench SOURCES chain_memory_bench.cc DEPS beamline_chain GTest::gtest)
beamline_bench(chain_memory_libc_bench SOURCES chain_memory_bench.cc DEPS beamline_chain GTest::gtest
               NO_MIMALLOC)
beamline_bench(chain_forkchoice_bench SOURCES chain_forkchoice_bench.cc DEPS beamline_chain)
beamline_bench(chain_lean_state_bench SOURCES chain_lean_state_bench.cc DEPS beamline_chain)
beamline_bench(chain_lean_head_bench SOURCES chain_lean_head_bench.cc DEPS beamline_chain)
