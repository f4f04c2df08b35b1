# SPDX-License-Identifier: Apache-2.0
"""What turns objects into Streams and back."""

from __future__ import annotations

import _compat_pickle
import importlib.util
import pickle
from collections.abc import Callable, Iterable
from typing import Any, Final

from net_queue import _native
from net_queue.utils.stream import Stream

__all__ = ["BufferSerializer", "BytesSerializer", "PickleSerializer", "StreamSerializer"]

#: May a pickle name this module's name?
Allow = Callable[[str, str], bool]


class PickleSerializer:
    """Python's pickle, protocol 5: any object that can be pickled. The default.

    Buffers of 64 KiB and more (bytes, bytearrays, numpy arrays) are not copied on the way out; on
    the way in an array that large is a writable view of the memory its message arrived in.

    **Loading a pickle can run any code its sender likes.** Where a peer is not to be trusted that
    far, say what may be named:

    restrict, allow (two words for one thing): names that messages may use, each exact, such as
    "uuid.UUID" or "collections.OrderedDict"; or a callable (module, name) -> bool. A module alone
    ("fractions") stands for the classes and functions that are defined in it; "builtins" for its
    classes; modules that are made to run things ("os", "subprocess") can't be allowed as a whole.
    A name with a dot ("UUID.__init__") never passes. Empty: numbers, texts, octets, and lists,
    tuples and dicts of them. What is not allowed raises pickle.UnpicklingError out of get; that
    message is lost, the session goes on.

    dump, load: the persistent hooks of Python's pickle: dump(object) returns an id for what is to
    be sent by its id, None for everything else; load(id) returns the object.

    Thread safety: any number of threads may use one.
    """

    def __init__(self, restrict: Allow | Iterable[str] | None = None, *,
                 allow: Allow | Iterable[str] | None = None,
                 dump: Callable[[Any], Any] | None = None,
                 load: Callable[[Any], Any] | None = None) -> None:
        if restrict is not None and allow is not None:
            raise TypeError("restrict and allow are two words for one thing: give one of them")
        allowed = allow if restrict is None else restrict
        if allowed is not None and not callable(allowed):
            allowed = self.allow_by_name(allowed)
        self._arguments = (allowed, dump, load)
        self._native = _native.Pickling(_pickler(dump), _unpickler(allowed, load),
                                        allowed is not None)

    def __reduce__(self) -> str | tuple[Any, ...]:
        return "PICKLE" if self is PICKLE else (_pickle_serializer, self._arguments)

    def dump(self, data: Any, /) -> Stream:
        """An object as a Stream. Raises what pickle raises."""
        return Stream(self._native.dump(data))

    def load(self, stream: Stream, /) -> Any:
        """The object of a Stream, which is empty afterwards. Raises what pickle raises."""
        return self._native.load(stream)

    @staticmethod
    def allow_by_name(names: Iterable[str], /) -> Allow:
        """What is allowed by these names: see the class."""
        return _Names(names)


def _pickle_serializer(allow: Allow | None, dump: Callable[[Any], Any] | None,
                       load: Callable[[Any], Any] | None) -> PickleSerializer:
    return PickleSerializer(allow, dump=dump, load=load)


class BytesSerializer:
    """Octets as they are: puts bytes, or anything with a buffer; gets bytes."""

    def __init__(self) -> None:
        self._native = _native.Octets()

    def __reduce__(self) -> tuple[Any, ...]:
        return BytesSerializer, ()

    def dump(self, data: Any, /) -> Stream:
        """A Stream over the octets: no copy."""
        return Stream(self._native.dump(data))

    def load(self, stream: Stream, /) -> bytes:
        """The octets of a Stream, which is empty afterwards: a copy."""
        octets = self._native.load(stream)
        assert isinstance(octets, bytes)
        return octets


class BufferSerializer:
    """Octets as they are: puts anything with a buffer; gets a memoryview of what arrived."""

    def dump(self, data: Any, /) -> Stream:
        """A Stream over the octets: no copy."""
        return Stream((data,))

    def load(self, stream: Stream, /) -> memoryview:
        """The octets of a Stream, which is empty afterwards; copied only from several chunks."""
        return stream.read() if stream.nbytes else memoryview(b"")


class StreamSerializer:
    """Streams as they are: puts a Stream, which keeps its octets; gets a Stream."""

    def dump(self, data: Stream, /) -> Stream:
        """The stream itself."""
        if not isinstance(data, Stream):
            raise TypeError(f"a Stream, not {type(data).__name__}")
        return data

    def load(self, stream: Stream, /) -> Stream:
        """The stream itself."""
        return stream


def native_of(function: Callable[[Any], Any]) -> _native.Serializer | Callable[[Any], Any]:
    """What stands behind a bound `dump` or `load` of ours; anything else as it is."""
    owner: object = getattr(function, "__self__", None)
    if type(owner) is PickleSerializer or type(owner) is BytesSerializer:
        if function in (owner.dump, owner.load):
            return owner._native
    return function


#: Modules whose functions run what they are given, or reach out of the program. Of these, names
#: must be given one by one.
_NEVER_WHOLE: Final = frozenset(
    "_io _pickle _posixsubprocess _socket _thread asyncio bdb bz2 cProfile code codecs codeop "
    "commands compileall copyreg ctypes dill distutils doctest ensurepip fileinput ftplib "
    "functools gc glob gzip idlelib imaplib importlib inspect io linecache logging lzma "
    "marshal mmap multiprocessing nt operator os pdb pickle pip pkgutil platform poplib posix "
    "posixpath profile pty py_compile pydoc runpy shelve shutil signal site smtplib socket "
    "sqlite3 subprocess sys tarfile tempfile threading timeit trace types urllib venv "
    "webbrowser xmlrpc zipapp zipfile zipimport".split())
#: Classes of builtins that reach further than the values they stand for.
_NOT_VALUES: Final = frozenset(("classmethod", "property", "staticmethod", "super", "type"))


class _Names:
    """Is a name, exactly so, among those given?"""

    def __init__(self, names: Iterable[str]) -> None:
        if isinstance(names, str):
            raise TypeError("names: a list of names, not one text")
        self._names = frozenset(names)
        for name in self._names:
            if not isinstance(name, str) or not name:
                raise TypeError(f"names: texts such as 'uuid.UUID', not {name!r}")
            if name.partition(".")[0] in _NEVER_WHOLE and _is_module(name):
                raise ValueError(f"{name!r} can't be allowed as a whole module: "
                                 f"give the names that are needed ('{name}.name')")

    def __call__(self, module: str, name: str) -> bool:
        if "." in name:
            return False
        if f"{module}.{name}" in self._names:
            return True
        return module in self._names and self._is_defined_in(module, name)

    @staticmethod
    def _is_defined_in(module: str, name: str) -> bool:
        if name.startswith("__"):
            return False
        try:
            # Nothing but the module: a package's `fromlist` would import, and so run, submodules.
            value = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            return False
        if getattr(value, "__module__", None) != module:
            return False
        if module == "builtins":
            return isinstance(value, type) and name not in _NOT_VALUES
        return callable(value)


def _is_module(name: str) -> bool:
    if "." not in name:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _pickler(dump: Callable[[Any], Any] | None) -> type[pickle.Pickler] | None:
    if dump is None:
        return None
    hook = dump

    class Pickler(pickle.Pickler):
        def persistent_id(self, item: Any) -> Any:
            return hook(item)

    return Pickler


def _unpickler(allow: Allow | None, load: Callable[[Any], Any] | None
               ) -> type[pickle.Unpickler] | None:
    """None where nothing is looked at: pickle's own is faster."""
    if allow is None and load is None:
        return None
    allowed, hook = allow, load

    class Unpickler(pickle.Unpickler):
        def __init__(self, file: Any, *, buffers: Any = None) -> None:
            # With names to look at, it must take them as they are: what is loaded is what was
            # allowed, not what that was called in Python 2.
            super().__init__(file, fix_imports=allowed is None, buffers=buffers)

        def find_class(self, module: str, name: str) -> Any:
            if allowed is None:
                return super().find_class(module, name)
            for candidate in ((module, name), _modern_name(module, name)):
                if "." not in candidate[1] and allowed(*candidate):
                    return super().find_class(*candidate)
            raise pickle.UnpicklingError("'{}.{}' is not allowed".format(*candidate))

        def persistent_load(self, pid: Any) -> Any:
            if hook is None:
                raise pickle.UnpicklingError("a persistent id, but no `load` that knows it")
            return hook(pid)

    return Unpickler


def _modern_name(module: str, name: str) -> tuple[str, str]:
    """What protocols 0 to 2 call by its name in Python 2, by its name in Python 3."""
    renamed = _compat_pickle.NAME_MAPPING.get((module, name))
    if renamed is not None:
        return renamed
    return _compat_pickle.IMPORT_MAPPING.get(module, module), name


#: The default: there is one, so that options that were copied or pickled are equal.
PICKLE: Final = PickleSerializer()
