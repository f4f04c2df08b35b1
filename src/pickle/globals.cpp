// SPDX-License-Identifier: Apache-2.0
#include "pickle/globals.hpp"

#include <algorithm>
#include <iterator>
#include <string>

#include <net_queue/pickle.hpp>

#include "pickle/node.hpp"

namespace nq {

namespace detail {

namespace {

struct KnownName {
    std::string_view module;
    std::string_view name;
    Known known;
};

// numpy 2 renamed numpy.core to numpy._core; pickles carry both.
constexpr KnownName k_known[] = {
    {"_codecs", "encode", Known::codecs_encode},
    {"builtins", "bytearray", Known::builtins_bytearray},
    {"builtins", "bytes", Known::builtins_bytes},
    {"builtins", "complex", Known::builtins_complex},
    {"builtins", "frozenset", Known::builtins_frozenset},
    {"builtins", "object", Known::builtins_object},
    {"builtins", "set", Known::builtins_set},
    {"copyreg", "__newobj__", Known::copyreg_newobj},
    {"copyreg", "__newobj_ex__", Known::copyreg_newobj_ex},
    {"copyreg", "_reconstructor", Known::copyreg_reconstructor},
    {"datetime", "date", Known::datetime_date},
    {"datetime", "datetime", Known::datetime_datetime},
    {"datetime", "time", Known::datetime_time},
    {"datetime", "timedelta", Known::datetime_timedelta},
    {"datetime", "timezone", Known::datetime_timezone},
    {"decimal", "Decimal", Known::decimal_decimal},
    {"numpy", "dtype", Known::numpy_dtype},
    {"numpy", "ndarray", Known::numpy_ndarray},
    {"numpy._core.multiarray", "_reconstruct", Known::numpy_reconstruct},
    {"numpy._core.multiarray", "scalar", Known::numpy_scalar},
    {"numpy._core.numeric", "_frombuffer", Known::numpy_frombuffer},
    {"numpy.core.multiarray", "_reconstruct", Known::numpy_reconstruct},
    {"numpy.core.multiarray", "scalar", Known::numpy_scalar},
    {"numpy.core.numeric", "_frombuffer", Known::numpy_frombuffer},
    {"uuid", "UUID", Known::uuid_uuid},
};

bool precedes(const KnownName& a, const KnownName& b) {
    return std::pair(a.module, a.name) < std::pair(b.module, b.name);
}

struct Renamed {
    GlobalName old_name;
    GlobalName new_name;
};

// Single names that moved; what has no row here follows its module below.
constexpr Renamed k_renamed_globals[] = {
    {{"UserDict", "UserDict"}, {"collections", "UserDict"}},
    {{"UserList", "UserList"}, {"collections", "UserList"}},
    {{"UserString", "UserString"}, {"collections", "UserString"}},
    {{"__builtin__", "basestring"}, {"builtins", "str"}},
    {{"__builtin__", "intern"}, {"sys", "intern"}},
    {{"__builtin__", "long"}, {"builtins", "int"}},
    {{"__builtin__", "reduce"}, {"functools", "reduce"}},
    {{"__builtin__", "unichr"}, {"builtins", "chr"}},
    {{"__builtin__", "unicode"}, {"builtins", "str"}},
    {{"__builtin__", "xrange"}, {"builtins", "range"}},
    {{"exceptions", "StandardError"}, {"builtins", "Exception"}},
    {{"itertools", "ifilterfalse"}, {"itertools", "filterfalse"}},
    {{"itertools", "izip"}, {"builtins", "zip"}},
    {{"itertools", "imap"}, {"builtins", "map"}},
    {{"itertools", "ifilter"}, {"builtins", "filter"}},
    {{"itertools", "izip_longest"}, {"itertools", "zip_longest"}},
};

constexpr std::pair<std::string_view, std::string_view> k_renamed_modules[] = {
    {"ConfigParser", "configparser"},
    {"Cookie", "http.cookies"},
    {"Queue", "queue"},
    {"SocketServer", "socketserver"},
    {"UserDict", "collections"},
    {"__builtin__", "builtins"},
    {"cPickle", "pickle"},
    {"cookielib", "http.cookiejar"},
    {"copy_reg", "copyreg"},
    {"exceptions", "builtins"},
    {"httplib", "http.client"},
    {"thread", "_thread"},
};

}  // namespace

Known find_known(const Global& global) noexcept {
    const KnownName wanted{global.module, global.name, Known::none};
    const auto* const found =
        std::lower_bound(std::begin(k_known), std::end(k_known), wanted, precedes);
    if (found == std::end(k_known) || precedes(wanted, *found)) return Known::none;
    return found->known;
}

GlobalName modern_name(GlobalName name) noexcept {
    for (const auto& [old_name, new_name] : k_renamed_globals) {
        if (old_name.module == name.module && old_name.name == name.name) return new_name;
    }
    for (const auto& [old_module, new_module] : k_renamed_modules) {
        if (old_module == name.module) return {new_module, name.name};
    }
    return name;
}

}  // namespace detail

namespace {

// The reader's marks on its stack hold a word in 13 bits (checker.hpp).
constexpr std::size_t k_words_max = 8000;

void sort_unique(std::vector<std::string>& texts) {
    std::sort(texts.begin(), texts.end());
    texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
}

}  // namespace

AllowList::AllowList(std::initializer_list<std::string_view> names)
    : AllowList(std::vector<std::string>(names.begin(), names.end())) {}

AllowList::AllowList(std::span<const std::string> names)
    : AllowList(std::vector<std::string>(names.begin(), names.end())) {}

AllowList::AllowList(std::vector<std::string>&& names) : names_(std::move(names)) {
    sort_unique(names_);
    for (const std::string& name : names_) {
        const std::size_t dot = name.rfind('.');
        if (dot == std::string::npos || dot == 0 || dot + 1 == name.size()) {
            detail::raise_serialization("allow list: '" + name + "' is not module.name");
        }
        words_.push_back(name.substr(0, dot));
        words_.push_back(name.substr(dot + 1));
    }
    sort_unique(words_);
    if (words_.size() > k_words_max) detail::raise_serialization("allow list: too long");
    for (const std::string& name : names_) {
        const std::size_t dot = name.rfind('.');
        pairs_.emplace_back(word(std::string_view(name).substr(0, dot)),
                            word(std::string_view(name).substr(dot + 1)));
    }
    std::sort(pairs_.begin(), pairs_.end());
}

AllowList AllowList::known_types() {
    std::vector<std::string> names;
    for (const auto& row : detail::k_known) {
        names.push_back(std::string(row.module).append(".").append(row.name));
    }
    return AllowList(std::move(names));
}

AllowList AllowList::with(const AllowList& other) const {
    std::vector<std::string> names = names_;
    names.insert(names.end(), other.names_.begin(), other.names_.end());
    return AllowList(std::move(names));
}

bool AllowList::contains(std::string_view module, std::string_view name) const {
    const std::uint16_t module_word = word(module), name_word = word(name);
    return module_word != 0 && name_word != 0 && contains(module_word, name_word);
}

std::uint16_t AllowList::word(std::string_view text) const {
    const auto found = std::lower_bound(words_.begin(), words_.end(), text);
    if (found == words_.end() || *found != text) return 0;
    return static_cast<std::uint16_t>(found - words_.begin() + 1);
}

bool AllowList::contains(std::uint16_t module_word, std::uint16_t name_word) const {
    return std::binary_search(pairs_.begin(), pairs_.end(), std::pair(module_word, name_word));
}

}  // namespace nq
