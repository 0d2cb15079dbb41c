# libbeamline.so: the C ABI for hosts of any language. Everything it stands on is inside, hidden, so
# that a host may carry its own OpenSSL, snappy or secp256k1, of whatever version. Only the C and C++
# runtimes are shared.
add_library(beamline_shared SHARED $<TARGET_OBJECTS:beamline_abi>)
set_target_properties(beamline_shared PROPERTIES OUTPUT_NAME beamline LINKER_LANGUAGE CXX
                      VERSION ${PROJECT_VERSION} SOVERSION 0
                      LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}
                      LINK_DEPENDS ${PROJECT_SOURCE_DIR}/node/beamline.map)

# Users first.
set(shared_archives "")
foreach(folder IN LISTS BEAMLINE_FOLDERS)
  if(TARGET beamline_${folder})
    list(PREPEND shared_archives $<TARGET_FILE:beamline_${folder}>)
    add_dependencies(beamline_shared beamline_${folder})
  endif()
endforeach()
# The static form of what others made; where a system has none, the shared one, and then a clash is
# the host's to avoid.
set(shared_others "")
foreach(name crypto secp256k1 snappy crypto++ uring)
  find_library(BEAMLINE_STATIC_${name} NAMES lib${name}.a)
  if(BEAMLINE_STATIC_${name})
    list(APPEND shared_others ${BEAMLINE_STATIC_${name}})
  else()
    message(WARNING "lib${name}.a was not found: libbeamline.so will need lib${name}.so")
    list(APPEND shared_others -l${name})
  endif()
endforeach()
target_link_libraries(beamline_shared PRIVATE
                      -Wl,--version-script=${PROJECT_SOURCE_DIR}/node/beamline.map
                      -Wl,--exclude-libs,ALL -Wl,--gc-sections -Wl,-z,defs
                      -Wl,--start-group ${shared_archives} -Wl,--end-group ${shared_others} -pthread)
