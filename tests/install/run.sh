#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds and runs the consumer project in one of the ways the README names.
# usage: run.sh find_package|pkg_config|add_subdirectory SOURCE_DIR BUILD_DIR
set -euo pipefail

way=$1 source_dir=$2 build_dir=$3
cmake=${CMAKE:-cmake}
here=$source_dir/tests/install/consumer
tree=$(mktemp -d "${TMPDIR:-/tmp}/net_queue_install.XXXXXX")
trap 'rm -rf "$tree"' EXIT
# What a parent build left in the environment must not find the package for us.
unset CMAKE_PREFIX_PATH PKG_CONFIG_PATH LD_LIBRARY_PATH

configure_and_run() { # name, cmake argument ...
    local build=$tree/$1
    shift
    "$cmake" -S "$here" -B "$build" -G Ninja -DCMAKE_CXX_FLAGS=-O0 "$@"
    "$cmake" --build "$build"
    "$build/consumer"
}

install_to() { # build directory
    "$cmake" --install "$1" --prefix "$tree/prefix"
    # Elsewhere than where it was installed: nothing in it may name the old place.
    mv "$tree/prefix" "$tree/moved"
    if grep -rIl --include='*.cmake' --include='*.pc' --include='*.hpp' \
        -e "$source_dir" -e "$build_dir" -e "$tree/prefix" "$tree/moved"; then
        echo "the files above name a directory of this machine" >&2
        exit 1
    fi
}

build_with_pkg_config() {
    local lib
    lib=$(dirname "$(find "$tree/moved" -name net_queue.pc)")
    export PKG_CONFIG_PATH=$lib
    pkg-config --print-errors --exists net_queue
    # shellcheck disable=SC2046  # the flags are words
    "${CXX:-g++}" $(pkg-config --cflags net_queue) "$here/main.cpp" -o "$tree/consumer" \
        $(pkg-config --libs net_queue)
    "$tree/consumer"
}

case $way in
    find_package)
        install_to "$build_dir"
        configure_and_run consumer -DCMAKE_PREFIX_PATH="$tree/moved"
        ;;
    pkg_config)
        install_to "$build_dir"
        build_with_pkg_config
        ;;
    add_subdirectory)
        # As a shared library, so that one more compilation shows both; what the sub-directory
        # installs serves the next project.
        configure_and_run first -DNET_QUEUE_SOURCE="$source_dir" -DBUILD_SHARED_LIBS=ON
        install_to "$tree/first"
        find "$tree/moved" -name 'libnet_queue.so' | grep -q .
        rm -r "$tree/first"
        configure_and_run second -DCMAKE_PREFIX_PATH="$tree/moved"
        ;;
    *)
        echo "run.sh: unknown way: $way" >&2
        exit 2
        ;;
esac
