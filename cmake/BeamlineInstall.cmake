# `cmake --install`: headers, static libraries, and what find_package(beamline) and
# pkg-config need. An embedder links beamline::beamline (all of it) or one folder, beamline::loop.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

add_library(beamline_all INTERFACE)
set_target_properties(beamline_all PROPERTIES EXPORT_NAME beamline)

set(pc_libraries "")
set(installed_libraries "")
foreach(folder IN LISTS BEAMLINE_FOLDERS)
  if(NOT TARGET beamline_${folder})
    continue()
  endif()
  list(APPEND installed_libraries beamline_${folder})
  # The linker wants users before what they use.
  set(pc_libraries "-lbeamline_${folder} ${pc_libraries}")
  set_target_properties(beamline_${folder} PROPERTIES EXPORT_NAME ${folder})
  target_compile_features(beamline_${folder} INTERFACE cxx_std_23)
  target_link_libraries(beamline_all INTERFACE beamline_${folder})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder}
          DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/beamline FILES_MATCHING PATTERN "*.h"
          PATTERN "sim" EXCLUDE)
endforeach()
string(STRIP "${pc_libraries}" pc_libraries)
# The C ABI: `#include <beamline.h>`, `-lbeamline`.
install(TARGETS beamline_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${PROJECT_SOURCE_DIR}/node/beamline.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

install(TARGETS ${installed_libraries} beamline_all EXPORT beamlineTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
set(beamline_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/beamline)
install(EXPORT beamlineTargets NAMESPACE beamline:: DESTINATION ${beamline_cmake_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/beamlineConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/beamlineConfig.cmake
                              INSTALL_DESTINATION ${beamline_cmake_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/beamlineConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/beamlineConfig.cmake
              ${PROJECT_BINARY_DIR}/beamlineConfigVersion.cmake
        DESTINATION ${beamline_cmake_dir})
configure_file(${PROJECT_SOURCE_DIR}/cmake/beamline.pc.in ${PROJECT_BINARY_DIR}/beamline.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/beamline.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
# What embedders need to have built: all of the libraries, and nothing else.
add_custom_target(beamline_libraries DEPENDS ${installed_libraries} beamline_shared)
