beamline_fuzz(uvarint SOURCES uvarint_fuzz.cc DEPS beamline_codec)
beamline_fuzz(protobuf SOURCES protobuf_fuzz.cc DEPS beamline_codec)
beamline_fuzz(snappy_frame SOURCES snappy_frame_fuzz.cc DEPS beamline_codec)
beamline_fuzz(multiaddr SOURCES multiaddr_fuzz.cc DEPS beamline_codec)
