// SPDX-License-Identifier: Apache-2.0
#include "pickle/arrays.hpp"

#include <doctest/doctest.h>

#include <string>

#include "pickle/test_support.hpp"

using namespace nq::testing;
using nq::detail::ArrayOctets;
using nq::detail::find_arrays;

namespace {

constexpr std::size_t k_size_min = 8;

std::string length8(std::size_t size) {
    std::string octets;
    for (int shift = 0; shift < 64; shift += 8) octets.push_back(static_cast<char>(size >> shift));
    return octets;
}

std::string bytearray(const std::string& octets) {
    return "\x96" + length8(octets.size()) + octets;
}

std::string text(const std::string& text) {
    return "\x8c" + std::string(1, static_cast<char>(text.size())) + text;
}

/// _frombuffer as the first array of a pickle names it, and a mark.
std::string function(const std::string& module = "numpy.core.numeric") {
    return text(module) + "\x94" + text("_frombuffer") + "\x94\x93\x94(";
}

const std::string k_octets = "0123456789";
const std::string k_rest = text("shape") + "\x94tR.";

std::vector<ArrayOctets> find(const std::string& octets) {
    return find_arrays(std::as_bytes(std::span(octets)), k_size_min);
}

}  // namespace

TEST_CASE("the octets of an array are found, its function named or out of the memo") {
    for (const char* module : {"numpy.core.numeric", "numpy._core.numeric"}) {
        const std::string begin = "\x80\x05" + function(module);
        const std::string again = "h" + std::string(1, '\x02') + "(";
        const std::string octets =
            begin + bytearray(k_octets) + "\x94" + again + bytearray(k_octets + "more") + k_rest;
        const auto found = find(octets);
        REQUIRE(found.size() == 2);
        CHECK(found[0].instruction == begin.size());
        CHECK(found[0].offset == begin.size() + 9);
        CHECK(found[0].size == k_octets.size());
        CHECK(found[0].writable);
        CHECK(octets.substr(found[1].offset, found[1].size) == "0123456789more");
    }
}

TEST_CASE("those of bytes are an array's that can't be written") {
    const auto found = find("\x80\x05" + function() + "\x8e" + length8(10) + k_octets + k_rest);
    REQUIRE(found.size() == 1);
    CHECK_FALSE(found[0].writable);
}

TEST_CASE("octets that somebody else may see are left alone") {
    CHECK(find("\x80\x05" + bytearray(k_octets) + k_rest).empty());
    CHECK(find("\x80\x05" + function("numpy.core.other") + bytearray(k_octets) + k_rest).empty());
    CHECK(find("\x80\x05" + function() + "N" + bytearray(k_octets) + k_rest).empty());
    CHECK(find("\x80\x05" + function() + bytearray("short") + k_rest).empty());
    CHECK(find("\x80\x05h" + std::string(1, '\x02') + "(" + bytearray(k_octets) + k_rest).empty());
}

TEST_CASE("octets in a frame are left alone: its length counts them") {
    const std::string inside = function() + bytearray(k_octets);
    CHECK(find("\x80\x05\x95" + length8(inside.size()) + inside + k_rest).empty());
    const std::string before = function();
    CHECK(find("\x80\x05\x95" + length8(before.size()) + before + bytearray(k_octets) + k_rest)
              .size() == 1);
}

TEST_CASE("a pickle that numbers its memo, or is none, ends the search") {
    CHECK(find("\x80\x05Nq" + std::string(1, '\0') + function() + bytearray(k_octets) + k_rest)
              .empty());
    CHECK(find("\x80\x05\xff" + function() + bytearray(k_octets) + k_rest).empty());
    CHECK(find(function() + "\x96" + length8(1000) + k_octets + k_rest).empty());
    CHECK(find("").empty());
}
