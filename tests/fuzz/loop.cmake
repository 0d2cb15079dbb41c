beamline_fuzz(loop SOURCES loop_fuzz.cc ../sim/injection.cc DEPS beamline_sim)
