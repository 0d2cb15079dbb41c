beamline_fuzz(gossip SOURCES gossip_fuzz.cc DEPS beamline_gossip)
