# The echo pair, which the tests of the loop and the benchmarks use too.
add_library(beamline_echo STATIC ${CMAKE_CURRENT_LIST_DIR}/echo_pair.cc)
target_link_libraries(beamline_echo PUBLIC beamline_loop PRIVATE beamline_options)

# The program: build/<preset>/beamline.
set(program_sources main.cc cli.cc echo.cc)
list(TRANSFORM program_sources PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
add_executable(beamline ${program_sources})
target_link_libraries(beamline PRIVATE beamline_options beamline_echo)
set_target_properties(beamline PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
beamline_mimalloc(beamline)
