beamline_fuzz(crypto SOURCES crypto_fuzz.cc DEPS beamline_crypto)
