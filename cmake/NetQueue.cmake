# SPDX-License-Identifier: Apache-2.0
# How a folder of this project becomes a target.

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)

# What all our own targets are compiled with; it is not installed and not passed on to users.
add_library(nq_flags INTERFACE)
target_compile_features(nq_flags INTERFACE cxx_std_20)
target_compile_options(nq_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                       -Wnon-virtual-dtor -Woverloaded-virtual -fno-omit-frame-pointer
                       # gcc 12 sees overlaps in "x" + std::string that are none (its bug 105651).
                       $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
                       # And strings used before they are set in `open(..., {.id = id})`, where what
                       # an initialiser leaves out has its default (105562, 105593 and their kind).
                       $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
target_include_directories(nq_flags INTERFACE ${PROJECT_SOURCE_DIR}/include
                           ${PROJECT_BINARY_DIR}/include ${PROJECT_SOURCE_DIR}/src
                           ${PROJECT_SOURCE_DIR})
target_link_libraries(nq_flags INTERFACE Threads::Threads)
# Which optional parts this build has: NQ_WITH_TLS and so on, defined or not.
foreach(part IN ITEMS TLS MQTT GRPC)
    if(NET_QUEUE_WITH_${part})
        target_compile_definitions(nq_flags INTERFACE NQ_WITH_${part})
    endif()
endforeach()

# The libraries behind NET_QUEUE_WITH_GRPC, by name: the installed package needs no package to find
# them.
set(NQ_GRPC_LIBRARIES grpc++ grpc gpr absl_synchronization)

# nq_component(NAME SOURCES a.cpp ... [DEPENDS other ...])
# One folder of src/: the static library nq_NAME. Its objects also go into the library net_queue.
function(nq_component name)
    cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
    add_library(nq_${name} STATIC ${ARG_SOURCES})
    set_target_properties(nq_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_link_libraries(nq_${name} PUBLIC $<BUILD_INTERFACE:nq_flags>)
    foreach(dependency IN LISTS ARG_DEPENDS)
        target_link_libraries(nq_${name} PUBLIC nq_${dependency})
    endforeach()
    set_property(GLOBAL APPEND PROPERTY NQ_COMPONENTS nq_${name})
endfunction()

# nq_library()
# The library net_queue (alias net_queue::net_queue): the objects of all components. Static, or
# shared with BUILD_SHARED_LIBS; symbols keep their default visibility, so both export the same.
function(nq_library)
    get_property(components GLOBAL PROPERTY NQ_COMPONENTS)
    list(TRANSFORM components REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)
    add_library(net_queue ${objects})
    add_library(net_queue::net_queue ALIAS net_queue)
    set_target_properties(net_queue PROPERTIES
        LINKER_LANGUAGE CXX
        VERSION ${PROJECT_VERSION}
        SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})  # 0.x: each minor may break
    target_compile_features(net_queue PUBLIC cxx_std_20)
    target_include_directories(net_queue PUBLIC
        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
        $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
        $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    target_link_libraries(net_queue PUBLIC Threads::Threads)
    if(NET_QUEUE_WITH_GRPC)
        target_link_libraries(net_queue PRIVATE ${NQ_GRPC_LIBRARIES})
    endif()
    if(NET_QUEUE_WITH_TLS)
        target_link_libraries(net_queue PRIVATE OpenSSL::SSL)
    endif()
endfunction()

# nq_test(NAME SOURCES a_test.cpp ... [DEPENDS component ...] [LABELS ...] [TIMEOUT s])
# A doctest executable build/<preset>/bin/NAME, run as the ctest test NAME.
function(nq_test name)
    if(NOT NET_QUEUE_BUILD_TESTS)
        return()
    endif()
    cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPENDS;LABELS" ${ARGN})
    if(NOT ARG_TIMEOUT)
        set(ARG_TIMEOUT 120)
    endif()
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE nq_flags nq_test_main)
    foreach(dependency IN LISTS ARG_DEPENDS)
        target_link_libraries(${name} PRIVATE ${dependency})
    endforeach()
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()

# nq_add_if_there(OPTION folder ...)
# Adds the folders that have a build file, if the option is on.
function(nq_add_if_there option)
    if(NOT ${option})
        return()
    endif()
    foreach(folder IN LISTS ARGN)
        if(EXISTS ${PROJECT_SOURCE_DIR}/${folder}/CMakeLists.txt)
            add_subdirectory(${folder})
        endif()
    endforeach()
endfunction()
