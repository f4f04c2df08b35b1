# SPDX-License-Identifier: Apache-2.0
# Headers, library, CMake package, pkg-config file, and the tool nq where it is built.
include(CMakePackageConfigHelpers)

set(NQ_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/net_queue)

install(TARGETS net_queue EXPORT net_queueTargets)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/net_queue ${PROJECT_BINARY_DIR}/include/net_queue
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
if(TARGET nq)
    install(TARGETS nq)
endif()

install(EXPORT net_queueTargets NAMESPACE net_queue:: DESTINATION ${NQ_PACKAGE_DIR})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/net_queueConfig.cmake.in
    ${PROJECT_BINARY_DIR}/cmake/net_queueConfig.cmake INSTALL_DESTINATION ${NQ_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cmake/net_queueConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/cmake/net_queueConfig.cmake
              ${PROJECT_BINARY_DIR}/cmake/net_queueConfigVersion.cmake
        DESTINATION ${NQ_PACKAGE_DIR})

# The prefix relative to the .pc file, so that an installation may be moved as a whole.
file(RELATIVE_PATH NQ_PREFIX_FROM_PC
     ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
# A static library's dependencies are its users' own; a shared one's are not.
set(NQ_PC_LIBS "")
if(NET_QUEUE_WITH_GRPC AND NOT BUILD_SHARED_LIBS)
    foreach(library IN LISTS NQ_GRPC_LIBRARIES)
        string(APPEND NQ_PC_LIBS " -l${library}")
    endforeach()
endif()
set(NQ_PC_REQUIRES "")
if(NET_QUEUE_WITH_TLS)
    list(APPEND NQ_PC_REQUIRES openssl)
endif()
list(JOIN NQ_PC_REQUIRES " " NQ_PC_REQUIRES)
if(BUILD_SHARED_LIBS)
    set(NQ_PC_REQUIRES "Requires.private: ${NQ_PC_REQUIRES}")
else()
    set(NQ_PC_REQUIRES "Requires: ${NQ_PC_REQUIRES}")
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/net_queue.pc.in
               ${PROJECT_BINARY_DIR}/cmake/net_queue.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cmake/net_queue.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
