find_package(GTest REQUIRED)
beamline_fuzz(chain SOURCES chain_fuzz.cc ../chain/injection.cc DEPS beamline_chain GTest::gtest)
