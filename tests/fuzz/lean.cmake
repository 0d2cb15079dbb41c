beamline_fuzz(lean SOURCES lean_fuzz.cc DEPS beamline_chain)
