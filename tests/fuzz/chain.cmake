find_package(GTest REQUIRED)
beamline_fuzz(chain SOURCES chain_fuzz.cc ../chain/injection.cc ../chain/injection_data.cc ../chain/injection_lean.cc ../chain/injection_restart.cc ../chain/injection_votes.cc
              ../chain/swarm_blocks.cc ../chain/witnessed_beacon.cc
              ../chain/witnessed_lean.cc DEPS beamline_chain GTest::gtest)
beamline_fuzz(header_pipeline SOURCES header_pipeline_fuzz.cc ../chain/headers/events.cc DEPS beamline_chain GTest::gtest)
