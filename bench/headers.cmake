beamline_bench(headers_bench SOURCES headers_bench.cc DEPS beamline_execution GTest::gtest)
    beamline_bench(headers_sim_bench SOURCES headers_sim_bench.cc header_replica.cc DEPS
                       beamline_chain GTest::gtest)
