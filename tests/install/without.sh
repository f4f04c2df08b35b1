#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the library and nq without their optional parts, and looks at what nq says of the lack.
# usage: without.sh all|TLS|MQTT|GRPC SOURCE_DIR
set -euo pipefail

part=$1 source_dir=$2
cmake=${CMAKE:-cmake}
tree=$(mktemp -d "${TMPDIR:-/tmp}/net_queue_without.XXXXXX")
trap 'rm -rf "$tree"' EXIT

configure() { # cmake argument ...
    "$cmake" -S "$source_dir" -B "$tree" -G Ninja -DCMAKE_BUILD_TYPE=Debug \
        -DCMAKE_CXX_FLAGS_DEBUG="-O0 -Werror" -DNET_QUEUE_BUILD_TESTS=OFF \
        -DNET_QUEUE_BUILD_BENCHMARKS=OFF -DNET_QUEUE_BUILD_EXAMPLES=OFF "$@"
}

# usage: says TEXT nq-argument ...
says() {
    local text=$1 status=0 output
    shift
    output=$("$tree/bin/nq" "$@" 2>&1) || status=$?
    if [ "$status" -ne 2 ] || ! grep -qF -e "$text" <<<"$output"; then
        echo "nq $*: exit $status, and not \"$text\" but: $output" >&2
        exit 1
    fi
}

case $part in
    all)
        configure -DNET_QUEUE_WITH_{TLS,MQTT,GRPC}=OFF
        "$cmake" --build "$tree" --target net_queue nq
        if ldd "$tree/bin/nq" | grep -E 'libssl|libgrpc'; then
            echo "nq needs the libraries above all the same" >&2
            exit 1
        fi
        for protocol in mqtt grpc; do
            missing="protocol $protocol is not in this build"
            missing+=" (NET_QUEUE_WITH_$(tr '[:lower:]' '[:upper:]' <<<"$protocol")=OFF)"
            says "$missing" bench "$protocol" both sync
            says "$missing" put --protocol "$protocol" hello
        done
        says "this build of net-queue has no TLS" put --secure hello
        "$tree/bin/nq" bench tcp both sync --min-size 8 --max-size 12
        ;;
    TLS | MQTT | GRPC)
        # One alone: the sources that ask for it, everything else being as in the two extremes.
        configure "-DNET_QUEUE_WITH_$part=OFF"
        objects=()
        while read -r source; do
            name=$(basename "$source")
            objects+=("$(cd "$tree" && ninja -t targets all |
                grep -oE "^[^:]*/$name\\.o" | head -1)")
        done < <(cd "$source_dir" && grep -rlE --include='*.cpp' 'NQ_WITH_' src/communicator tools)
        [ "${#objects[@]}" -ge 2 ]
        "$cmake" --build "$tree" --target "${objects[@]}"
        ;;
    *)
        echo "without.sh: unknown part: $part" >&2
        exit 2
        ;;
esac
