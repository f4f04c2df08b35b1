// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <compare>
#include <complex>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <net_queue/pickle.hpp>
#include <net_queue/stream.hpp>
#include <net_queue/uuid.hpp>

namespace nq {

/// The types of Python that arrive as what they are; every other class arrives as an `object`.
enum class ValueType : std::uint8_t {
    none,
    boolean,
    integer,   ///< int of any size
    floating,  ///< float
    str,
    bytes,
    bytearray,
    list,
    tuple,
    dict,
    set,
    frozenset,
    complex,
    uuid,       ///< uuid.UUID
    date,       ///< datetime.date
    time,       ///< datetime.time
    datetime,   ///< datetime.datetime
    timedelta,  ///< datetime.timedelta
    timezone,   ///< datetime.timezone
    decimal,    ///< decimal.Decimal
    array,      ///< numpy.ndarray
    scalar,     ///< a numpy scalar, such as numpy.float64
    global,     ///< a class or function by itself, such as the type int
    object,     ///< an instance of any other class
};

/// "list", "numpy array", ...: for people.
[[nodiscard]] std::string_view to_string(ValueType type);

/// datetime.date: year 1 to 9999, proleptic Gregorian.
struct Date {
    std::int16_t year = 1;
    std::uint8_t month = 1;
    std::uint8_t day = 1;
    friend auto operator<=>(const Date&, const Date&) = default;
};

/// datetime.timedelta in Python's normal form: 0 <= seconds < 86,400, 0 <= microseconds < 10^6,
/// |days| < 10^9; a negative span has negative days alone.
struct TimeDelta {
    std::int32_t days = 0;
    std::int32_t seconds = 0;
    std::int32_t microseconds = 0;
    friend auto operator<=>(const TimeDelta&, const TimeDelta&) = default;
};

/// datetime.timezone: a fixed offset from UTC of less than a day, and perhaps a name.
struct TimeZone {
    TimeDelta offset;
    std::optional<std::string> name = std::nullopt;
    friend bool operator==(const TimeZone&, const TimeZone&) = default;
};

/// datetime.time. Other tzinfo than datetime.timezone keeps a time or datetime an `object`.
struct Time {
    std::uint8_t hour = 0;
    std::uint8_t minute = 0;
    std::uint8_t second = 0;
    bool fold = false;
    std::int32_t microsecond = 0;
    std::optional<TimeZone> zone = std::nullopt;
    friend bool operator==(const Time&, const Time&) = default;
};

/// datetime.datetime.
struct DateTime {
    Date date;
    Time time;
    friend bool operator==(const DateTime&, const DateTime&) = default;
};

/// A global of a Python program, by name only: nothing is looked up or called here.
struct Global {
    std::string module;
    std::string name;
    friend bool operator==(const Global&, const Global&) = default;
};

/// An int beyond 64 bits.
class BigInt {
  public:
    BigInt() = default;
    /// From two's complement, little-endian; no octets mean 0.
    explicit BigInt(std::span<const std::byte> octets);
    /// From an optional sign and 1 to 4,300 decimal digits (CPython's own bound); nothing else.
    static std::optional<BigInt> parse(std::string_view text);

    /// Two's complement, little-endian, in as few octets as hold the sign; none for 0.
    [[nodiscard]] std::span<const std::byte> octets() const;
    [[nodiscard]] bool is_negative() const;
    [[nodiscard]] std::optional<std::int64_t> to_int64() const;
    /// Decimal up to 4,300 digits, hexadecimal beyond (whose cost is linear).
    [[nodiscard]] std::string to_string() const;
    friend bool operator==(const BigInt&, const BigInt&) = default;

  private:
    std::string octets_;
};

/// numpy's code for a C++ type in the order of this machine, such as "<f8" for double.
template <class T>
[[nodiscard]] std::string dtype_of() {
    const char* const kind = std::same_as<T, bool>                   ? "b"
                             : std::floating_point<T>                ? "f"
                             : std::unsigned_integral<T>             ? "u"
                             : std::signed_integral<T>               ? "i"
                             : std::same_as<T, std::complex<float>>  ? "c"
                             : std::same_as<T, std::complex<double>> ? "c"
                                                                     : "?";
    const char* const order = sizeof(T) == 1                               ? "|"
                              : std::endian::native == std::endian::little ? "<"
                                                                           : ">";
    return order + (kind + std::to_string(sizeof(T)));
}

/// A numpy array or scalar: contiguous octets and what they mean. The octets are shared, those of a
/// received array with the message itself where they lie there on a multiple of min(item size, 16).
struct Array {
    std::string dtype = "|u1";       ///< numpy's str: order, kind, size, and a unit for M8 and m8
    std::vector<std::size_t> shape;  ///< items per axis; empty for zero dimensions
    bool fortran = false;            ///< first axis fastest instead of last axis
    Chunk octets;                    ///< size() * item_size() of them

    /// Takes the items over as an array of one axis, or of the given shape.
    template <class T>
    static Array of(std::vector<T> items, std::optional<std::vector<std::size_t>> shape = {}) {
        static_assert(!std::same_as<T, bool>, "std::vector<bool> is no array of bool");
        auto owner = std::make_shared<const std::vector<T>>(std::move(items));
        auto axes = shape ? std::move(*shape) : std::vector<std::size_t>{owner->size()};
        return {dtype_of<T>(), std::move(axes), false,
                Chunk(std::as_bytes(std::span(*owner)), owner)};
    }

    /// Items in all. Throws SerializationError where the shape's product overflows.
    [[nodiscard]] std::size_t size() const;
    /// Octets per item; 0 where dtype is none that we know.
    [[nodiscard]] std::size_t item_size() const;
    /// The items in memory order. Throws SerializationError where dtype is not that of T, or the
    /// octets do not lie aligned for T (those the reader made always do).
    template <class T>
    [[nodiscard]] std::span<const T> as_span() const {
        require_items(dtype_of<T>(), alignof(T));
        return {reinterpret_cast<const T*>(octets.data()), octets.size() / sizeof(T)};
    }
    friend bool operator==(const Array& a, const Array& b);

  private:
    void require_items(std::string_view wanted, std::size_t alignment) const;
};

struct Object;
class Value;

namespace detail {
template <ValueType type>
struct OctetsNode;
template <ValueType type>
struct SequenceNode;
template <ValueType type>
struct ArrayNode;
struct DictNode;
struct ValueAccess;
}  // namespace detail

/// A Python value: what PickleSerializer loads and dumps.
///
/// A value is immutable, and copying one shares its memory, as a second name does in Python. So
/// what a message references twice is one container referenced twice after load, and again after
/// dump; and no value can come to contain itself: cyclic pickles are refused with a clear error,
/// because shared ownership could not free them. To change a list, copy its items, change those
/// and make a new list. However deep a value nests, no operation here recurses.
/// Large str, bytes and arrays are views of the message they came in and keep it alive.
/// Thread safety: as a const std::shared_ptr; distinct Values may share memory across threads.
class Value {
  public:
    using Pair = std::pair<Value, Value>;

    /// None.
    Value() = default;
    Value(std::nullptr_t) {}
    template <std::same_as<bool> T>
    Value(T value) : storage_(std::in_place_index<1>, value) {}
    template <std::integral T>
    requires(!std::same_as<T, bool> && !std::same_as<T, char>) Value(T value) {
        if constexpr (std::unsigned_integral<T> && sizeof(T) >= sizeof(std::int64_t)) {
            assign_unsigned(value);
        } else {
            storage_.template emplace<2>(value);
        }
    }
    Value(double value) : storage_(std::in_place_index<3>, value) {}
    /// str, in UTF-8; what is no UTF-8 is refused by dump. Python's lone surrogates stand as three
    /// octets each, as its "surrogatepass" writes them.
    Value(const char* text);
    Value(std::string_view text);
    Value(std::string&& text);
    Value(const std::string& text);
    Value(std::complex<double> value);
    Value(const Uuid& value);
    Value(Date value);
    Value(Time value);
    Value(DateTime value);
    Value(TimeDelta value);
    Value(TimeZone value);
    /// An int; one that fits in 64 bits is stored so.
    Value(BigInt value);
    /// numpy.ndarray. Throws SerializationError where dtype is unknown or sizes disagree.
    Value(Array value);
    Value(Global value);
    Value(Object value);

    static Value str(Chunk utf8);
    static Value bytes(Chunk octets);
    static Value bytearray(Chunk octets);
    static Value list(std::vector<Value> items = {});
    static Value tuple(std::vector<Value> items = {});
    /// In this order; of equal keys the last one counts, as in Python.
    static Value dict(std::vector<Pair> items = {});
    static Value set(std::vector<Value> items = {});
    static Value frozenset(std::vector<Value> items = {});
    /// decimal.Decimal from its text, such as "-1.50" or "NaN". Throws SerializationError.
    static Value decimal(std::string_view text);
    /// A numpy scalar: an item as an array of no dimensions. Throws as Value(Array).
    static Value scalar(Array value);

    Value(const Value&) = default;
    Value(Value&& other) noexcept : storage_(std::move(other.storage_)) {
        other.storage_.emplace<0>();
    }
    Value& operator=(const Value& other) { return *this = Value(other); }
    Value& operator=(Value&& other) noexcept {
        Value taken(std::move(other));
        storage_.swap(taken.storage_);
        return *this;
    }
    ~Value() {
        if (owns_containers()) dismantle();
    }

    [[nodiscard]] ValueType type() const noexcept;
    [[nodiscard]] bool is(ValueType wanted) const noexcept { return type() == wanted; }
    [[nodiscard]] bool is_none() const noexcept { return is(ValueType::none); }
    [[nodiscard]] bool is_bool() const noexcept { return is(ValueType::boolean); }
    [[nodiscard]] bool is_int() const noexcept { return is(ValueType::integer); }
    [[nodiscard]] bool is_float() const noexcept { return is(ValueType::floating); }
    [[nodiscard]] bool is_str() const noexcept { return is(ValueType::str); }
    [[nodiscard]] bool is_bytes() const noexcept { return is(ValueType::bytes); }
    [[nodiscard]] bool is_list() const noexcept { return is(ValueType::list); }
    [[nodiscard]] bool is_tuple() const noexcept { return is(ValueType::tuple); }
    [[nodiscard]] bool is_dict() const noexcept { return is(ValueType::dict); }
    [[nodiscard]] bool is_array() const noexcept { return is(ValueType::array); }
    [[nodiscard]] bool is_object() const noexcept { return is(ValueType::object); }

    // Each throws SerializationError("... is a list, not a str") where the type is another. What
    // they return by reference or as a view lives as long as a Value that shares it.
    [[nodiscard]] bool as_bool() const;
    /// Throws also for an int beyond 64 bits.
    [[nodiscard]] std::int64_t as_int() const;
    [[nodiscard]] BigInt as_big_int() const;
    [[nodiscard]] double as_float() const;
    [[nodiscard]] std::string_view as_str() const;
    /// bytes or bytearray.
    [[nodiscard]] const Chunk& as_bytes() const;
    [[nodiscard]] const std::vector<Value>& as_list() const;
    [[nodiscard]] const std::vector<Value>& as_tuple() const;
    /// set or frozenset, in the order they came.
    [[nodiscard]] const std::vector<Value>& as_set() const;
    [[nodiscard]] const std::vector<Pair>& as_dict() const;
    [[nodiscard]] std::complex<double> as_complex() const;
    [[nodiscard]] const Uuid& as_uuid() const;
    [[nodiscard]] const Date& as_date() const;
    [[nodiscard]] const Time& as_time() const;
    [[nodiscard]] const DateTime& as_datetime() const;
    [[nodiscard]] const TimeDelta& as_timedelta() const;
    [[nodiscard]] const TimeZone& as_timezone() const;
    [[nodiscard]] std::string_view as_decimal() const;
    /// A numpy array or scalar.
    [[nodiscard]] const Array& as_array() const;
    /// The items of an array: as_array().as_span<T>().
    template <class T>
    [[nodiscard]] std::span<const T> as_span() const {
        return as_array().as_span<T>();
    }
    [[nodiscard]] const Global& as_global() const;
    [[nodiscard]] const Object& as_object() const;

    /// Items of a list, tuple, set, frozenset or dict; octets of str, bytes, bytearray.
    /// Throws SerializationError for other types.
    [[nodiscard]] std::size_t size() const;
    /// What a dict holds under the key, or null. Looks at every key: O(size()).
    [[nodiscard]] const Value* find(const Value& key) const;
    /// As find, but throws SerializationError where there is no such key.
    [[nodiscard]] const Value& at(const Value& key) const;

    /// Equal type and content; order counts in neither set nor dict; NaN equals itself, and True,
    /// 1 and 1.0 are three values (unlike Python). Linear in what is stored, however shared.
    friend bool operator==(const Value& a, const Value& b);
    /// As Python would print it, cut after about length_max characters.
    [[nodiscard]] std::string repr(std::size_t length_max = std::size_t{1} << 20) const;

  private:
    friend struct detail::ValueAccess;
    template <class T>
    using Shared = std::shared_ptr<T>;
    // In the order of ValueType; last, the second form of integer. 16 octets each at most.
    using Storage = std::variant<
        std::monostate, bool, std::int64_t, double, Shared<detail::OctetsNode<ValueType::str>>,
        Shared<detail::OctetsNode<ValueType::bytes>>,
        Shared<detail::OctetsNode<ValueType::bytearray>>,
        Shared<detail::SequenceNode<ValueType::list>>,
        Shared<detail::SequenceNode<ValueType::tuple>>, Shared<detail::DictNode>,
        Shared<detail::SequenceNode<ValueType::set>>,
        Shared<detail::SequenceNode<ValueType::frozenset>>, std::complex<double>, Uuid, Date,
        Shared<Time>, Shared<DateTime>, TimeDelta, Shared<TimeZone>,
        Shared<detail::OctetsNode<ValueType::decimal>>, Shared<detail::ArrayNode<ValueType::array>>,
        Shared<detail::ArrayNode<ValueType::scalar>>, Shared<Global>, Shared<Object>,
        Shared<BigInt>>;

    void assign_unsigned(std::uint64_t value);
    /// Whether this is the last share in a node whose own values must be freed one by one.
    [[nodiscard]] bool owns_containers() const noexcept;
    void dismantle() noexcept;

    Storage storage_;
};

/// An instance of a class that has no ValueType, as data: the recipe by which Python would make it.
/// Loading never runs it; dumping writes the same recipe, for a Python peer to follow.
struct Object {
    /// How the class and the arguments become an instance.
    enum class Recipe : std::uint8_t {
        call,             ///< class(*arguments), or a function in the class's place
        create,           ///< class.__new__(class, *arguments)
        create_keywords,  ///< class.__new__(class, *arguments, **keywords)
        bare,             ///< object.__new__(class), without arguments
    };

    /// `name` is qualified: "Outer.Inner".
    Object(std::string module, std::string name, Value arguments_tuple = Value::tuple(),
           Value state_or_none = {})
        : type(std::make_shared<const Global>(Global{std::move(module), std::move(name)})),
          arguments(std::move(arguments_tuple)),
          state(std::move(state_or_none)) {}

    /// REQUIRES: type is not null.
    Object(std::shared_ptr<const Global> type_name, Value arguments_tuple)
        : type(std::move(type_name)), arguments(std::move(arguments_tuple)) {}

    [[nodiscard]] const std::string& module() const { return type->module; }
    [[nodiscard]] const std::string& name() const { return type->name; }

    std::shared_ptr<const Global> type;   ///< never null; objects of one class share it
    Value callable;                       ///< None, or an object that stands in type's place
    Value arguments;                      ///< a tuple
    Value state;                          ///< for __setstate__ or __dict__; None: none
    Value keywords;                       ///< a dict for create_keywords, else None
    std::vector<Value> list_items;        ///< to append
    std::vector<Value::Pair> dict_items;  ///< to set
    Recipe recipe = Recipe::call;
};

}  // namespace nq
