# The compiler settings of the project and the functions that declare its targets.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# none | address (with undefined) | thread | fuzzer (with address and undefined)
set(BEAMLINE_SANITIZE "none" CACHE STRING "Sanitizer of this build")

# Several sources of a folder in one translation unit: a clean build, as CI's, takes half the time; one
# after a change takes longer.
option(BEAMLINE_UNITY "Build the folders' libraries in batches of sources" OFF)

add_library(beamline_options INTERFACE)
target_compile_options(beamline_options INTERFACE -Wall -Wextra -Wconversion -Wshadow -Werror)
target_include_directories(beamline_options INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)

set(sanitizer_flags "")
if(BEAMLINE_SANITIZE STREQUAL "address")
  set(sanitizer_flags -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
elseif(BEAMLINE_SANITIZE STREQUAL "thread")
  set(sanitizer_flags -fsanitize=thread -fno-omit-frame-pointer)
elseif(BEAMLINE_SANITIZE STREQUAL "fuzzer")
  set(sanitizer_flags -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
                      -fno-omit-frame-pointer)
elseif(NOT BEAMLINE_SANITIZE STREQUAL "none")
  message(FATAL_ERROR "BEAMLINE_SANITIZE is '${BEAMLINE_SANITIZE}'; "
                      "it must be none, address, thread or fuzzer")
endif()
if(sanitizer_flags)
  add_compile_options(${sanitizer_flags} -g1)
  add_link_options(${sanitizer_flags})
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # Precompiled headers without a time stamp, so that ccache can share them.
  add_compile_options("SHELL:$<$<COMPILE_LANGUAGE:CXX>:-Xclang -fno-pch-timestamp>")
endif()

# beamline_folder(NAME SOURCES... [DEPS targets...] [PRIVATE_DEPS targets...] [EXCEPTIONS])
# One static library per folder, `beamline_NAME`. No exceptions unless asked.
function(beamline_folder name)
  cmake_parse_arguments(ARG "EXCEPTIONS" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(beamline_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(beamline_${name} PUBLIC ${ARG_DEPS}
                        PRIVATE $<BUILD_INTERFACE:beamline_options> ${ARG_PRIVATE_DEPS})
  target_include_directories(beamline_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                             $<INSTALL_INTERFACE:include/beamline>)
  # Under tsan few tests are built, and of the libraries what these need.
  if(BEAMLINE_SANITIZE STREQUAL "thread")
    set_target_properties(beamline_${name} PROPERTIES EXCLUDE_FROM_ALL ON)
  endif()
  # libbeamline.so takes single objects from the others in a release, and must not take all.
  set(apart base crypto codec libp2p node abi)
  if(BEAMLINE_UNITY AND NOT (BEAMLINE_SANITIZE STREQUAL "none" AND name IN_LIST apart))
    set_target_properties(beamline_${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  endif()
  if(NOT ARG_EXCEPTIONS)
    target_compile_options(beamline_${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions>)
  endif()
endfunction()

# TSan's shadow memory does not survive the kernel's address randomisation; where a container
# forbids setarch, clang's TSan starts itself again without it.
if(BEAMLINE_SANITIZE STREQUAL "thread")
  execute_process(COMMAND setarch -R true RESULT_VARIABLE setarch_result OUTPUT_QUIET ERROR_QUIET)
  if(setarch_result EQUAL 0)
    set(CMAKE_CROSSCOMPILING_EMULATOR setarch -R)
  endif()
endif()

# beamline_test(NAME AREA area SOURCES... [DEPS targets...] [LABELS labels...] [TIMEOUT s]
#               [NO_SANITIZER] [NO_TSAN] [PROPERTIES name value ...])
# A GoogleTest program, each case one ctest test `AREA.Suite.Case` with the label AREA.
# Further labels: `long` (only in ./dev test --long), `vectors` (reads the folder BEAMLINE_VECTORS, and
# skips where it is not; what ./dev vectors runs), `sim`, `interop` (talks to real peers), `bench`
# (measures). The last two are not built where a sanitizer is on; what measures runs alone, and what
# talks to real peers one at a time, beside other tests: it waits most of its time.
# NO_SANITIZER: not built where a sanitizer is on. NO_TSAN: not built under tsan, because all of it
# runs on one thread and would only take time there.
function(beamline_test name)
  cmake_parse_arguments(ARG "NO_SANITIZER;NO_TSAN" "AREA;TIMEOUT" "SOURCES;DEPS;LABELS;PROPERTIES"
                        ${ARGN})
  if(ARG_UNPARSED_ARGUMENTS OR NOT ARG_AREA OR NOT ARG_SOURCES)
    message(FATAL_ERROR "beamline_test(${name}): AREA and SOURCES are needed; "
                        "not understood: '${ARG_UNPARSED_ARGUMENTS}'")
  endif()
  set(labels ${ARG_AREA} ${ARG_LABELS})
  if("interop" IN_LIST labels OR "bench" IN_LIST labels)
    set(ARG_NO_SANITIZER TRUE)
  endif()
  if("bench" IN_LIST labels)
    list(APPEND ARG_PROPERTIES RUN_SERIAL TRUE)
  elseif("interop" IN_LIST labels AND NOT "RESOURCE_LOCK" IN_LIST ARG_PROPERTIES)
    list(APPEND ARG_PROPERTIES RESOURCE_LOCK peers)
  endif()
  if(ARG_NO_SANITIZER AND NOT BEAMLINE_SANITIZE STREQUAL "none")
    return()
  endif()
  if(ARG_NO_TSAN AND BEAMLINE_SANITIZE STREQUAL "thread")
    return()
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE beamline_options beamline_test_main ${ARG_DEPS})
  target_precompile_headers(${name} REUSE_FROM beamline_test_main)
  gtest_discover_tests(${name} TEST_PREFIX "${ARG_AREA}." DISCOVERY_MODE PRE_TEST
                       DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT ${ARG_TIMEOUT} ${ARG_PROPERTIES})
  # A list does not survive its way through PROPERTIES; the list of tests, which ctest has after it
  # included the discovered ones, takes the labels whole.
  set(labels_file ${CMAKE_CURRENT_BINARY_DIR}/${name}_labels.cmake)
  file(CONFIGURE OUTPUT ${labels_file} @ONLY CONTENT [[
if(@name@_TESTS)
  set_tests_properties(${@name@_TESTS} PROPERTIES LABELS "@labels@")
endif()
]])
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${labels_file})
endfunction()

# Gives an executable of ours mimalloc in place of malloc and new (never a library: an embedder keeps
# its own). Off under sanitizers, which bring theirs.
function(beamline_mimalloc name)
  if(BEAMLINE_SANITIZE STREQUAL "none")
    find_package(mimalloc REQUIRED)
    # It is used by being there, so a linker must not drop it as unneeded.
    target_link_libraries(${name} PRIVATE -Wl,--push-state,--no-as-needed mimalloc
                          -Wl,--pop-state)
  endif()
endfunction()

# beamline_bench(NAME SOURCES... [DEPS targets...] [NO_MIMALLOC])
# A Google Benchmark program, build/bench-release/bench/NAME. What is measured against what stands
# in bench/<area>.json (format: scripts/bench.py).
function(beamline_bench name)
  cmake_parse_arguments(ARG "NO_MIMALLOC" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE beamline_options benchmark::benchmark
                        benchmark::benchmark_main ${ARG_DEPS})
  if(NOT ARG_NO_MIMALLOC)
    beamline_mimalloc(${name})
  endif()
endfunction()

# beamline_fuzz(NAME SOURCES... [DEPS targets...])
# A libFuzzer program, build/fuzz/tests/fuzz/fuzz_NAME, that `./dev fuzz NAME` runs. Seeds: short
# inputs in tests/fuzz/seeds/NAME/.
function(beamline_fuzz name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(fuzz_${name} ${ARG_SOURCES})
  target_link_libraries(fuzz_${name} PRIVATE beamline_options ${ARG_DEPS})
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
endfunction()
