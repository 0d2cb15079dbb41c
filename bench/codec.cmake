find_package(OpenSSL REQUIRED COMPONENTS Crypto)
beamline_bench(merkle_bench SOURCES merkle_bench.cc DEPS beamline_crypto OpenSSL::Crypto)
