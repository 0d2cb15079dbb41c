beamline_fuzz(rlpx_handshake SOURCES rlpx_handshake_fuzz.cc DEPS beamline_rlpx)
beamline_fuzz(rlpx_frames SOURCES rlpx_frames_fuzz.cc DEPS beamline_rlpx)
beamline_fuzz(rlpx_messages SOURCES rlpx_messages_fuzz.cc largest_allocation.cc DEPS beamline_rlpx)
