"""Mappings in which a name may have several values: header fields, query, form, parameters and cookies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, TypeVar

from .errors import InvalidError, StateError

__all__ = ["Headers", "Multi", "MutableHeaders", "Values"]

Pairs = Iterable[tuple[str, str]]
V = TypeVar("V")


class Multi(Mapping[str, V]):
    """An ordered mapping in which a name may have several values; look-up by name returns the first."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterable[tuple[str, V]] = ()) -> None:
        self._pairs = list(pairs)

    @staticmethod
    def _key(name: str) -> str:
        return name

    def __getitem__(self, name: str) -> V:
        key = self._key(name)
        for known, value in self._pairs:
            if self._key(known) == key:
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        seen = set()
        for name, _ in self._pairs:
            key = self._key(name)
            if key not in seen:
                seen.add(key)
                yield name

    def __len__(self) -> int:
        return len({self._key(name) for name, _ in self._pairs})

    def getall(self, name: str) -> list[V]:
        """Returns the list of all values of `name`, in order; empty if there are none."""
        key = self._key(name)
        return [value for known, value in self._pairs if self._key(known) == key]

    def pairs(self) -> list[tuple[str, V]]:
        """Returns all names and values in order, including repeated names."""
        return list(self._pairs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._pairs!r})"


class Values(Multi[str]):
    """An ordered mapping of strings in which a name may have several values; look-up by name returns the first.

    >>> values = Values([("tag", "c"), ("q", ""), ("tag", "python")])
    >>> values["tag"], values.getall("tag"), values.get("page")
    ('c', ['c', 'python'], None)
    >>> list(values), values.pairs()
    (['tag', 'q'], [('tag', 'c'), ('q', ''), ('tag', 'python')])
    """

    __slots__ = ()


class Params(dict[str, str]):
    """The path parameters of a request; each name occurs once.

    >>> params = Params({"id": "7", "name": "Ada"})
    >>> params["id"], params.getall("id"), params.pairs()
    ('7', ['7'], [('id', '7'), ('name', 'Ada')])
    """

    __slots__ = ()

    def getall(self, name: str) -> list[str]:
        """Returns the value of `name` as a list, as in the other mappings of a request; empty if there is none."""
        return [self[name]] if name in self else []

    def pairs(self) -> list[tuple[str, str]]:
        """Returns all names and values, in the order of the pattern."""
        return list(self.items())


class Headers(Values):
    """Header fields; look-up by name ignores case.

    >>> headers = Headers([("Content-Type", "text/plain")])
    >>> headers["content-type"], "CONTENT-TYPE" in headers
    ('text/plain', True)
    """

    __slots__ = ()

    @staticmethod
    def _key(name: str) -> str:
        return name.lower()


class _Names:
    """The names of a request's header fields, cached because clients send the same ones again and again."""

    __slots__ = ("all", "places", "spare")

    def __init__(self, names: list[str]) -> None:
        self.all = names
        #: Index of the first field of each name, by every spelling that was looked up. A plain dict, because look-up in
        #: a subclass takes three times as long.
        self.places = dict(zip(reversed(names), range(len(names) - 1, -1, -1)))
        # Limits the spellings that are added; programs use few.
        self.spare = 64

    def place(self, name: str) -> int:
        """Returns the index of a name in another spelling. Raises KeyError if it was not sent."""
        place = self.places.get(name.lower())
        if place is None:
            raise KeyError(name)
        if self.spare:
            self.spare -= 1
            self.places[name] = place
        return place


_known: dict[bytes, _Names] = {}
_MOST_KNOWN = 1024
#: Longer lists of names are not cached: they take much memory, and are rarely sent twice.
_USUAL_OCTETS = 1024


def _learn(octets: bytes) -> _Names:
    names = _Names(octets.decode("latin-1").split("\n") if octets else [])
    if len(octets) <= _USUAL_OCTETS:
        if len(_known) >= _MOST_KNOWN:
            # A client sends made-up names.
            _known.clear()
        _known[octets] = names
    return names


class Sent(Headers):
    """The header fields of a request in a slot; made by `sent()`."""

    __slots__ = ("_names", "_values")

    _names: _Names
    _values: list[str]

    # `sent()` sets the attributes. An `__init__` in Python would take longer than everything else.
    __init__ = object.__init__

    @property
    def _pairs(self) -> list[tuple[str, str]]:  # type: ignore[override]
        return list(zip(self._names.all, self._values))

    def __getitem__(self, name: str) -> str:
        try:
            return self._values[self._names.places[name]]
        except KeyError:
            return self._values[self._names.place(name)]

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self._values[self._names.places[name]]
        except KeyError:
            pass
        try:
            return self._values[self._names.place(name)]
        except KeyError:
            return default

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._names.places


def sent(names: bytes, values: bytes) -> Sent:
    """Returns the header fields for names, in lower case, and values, both separated by line feeds.

    >>> headers = sent(b"host\\nx-tag\\nx-tag", b"example.org\\na\\nb")
    >>> headers["Host"], headers.getall("X-Tag"), headers.get("cookie")
    ('example.org', ['a', 'b'], None)
    """
    headers: Sent = Sent()
    try:
        headers._names = _known[names]
    except KeyError:
        headers._names = _learn(names)
    try:
        headers._values = values.decode().split("\n")
    except UnicodeDecodeError:
        headers._values = [field(value) for value in values.split(b"\n")]
    return headers


def field(octets: bytes) -> str:
    """Decodes a header value as UTF-8, or else as ISO-8859-1, in which every byte is a character (RFC 9110 5.5)."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


class MutableHeaders(Headers, MutableMapping[str, str]):
    """The header fields of a response. Assignment replaces a field, `add()` appends one; both check names and values at
    once.

    >>> headers = MutableHeaders()
    >>> headers["X-Count"] = "1"
    >>> headers["x-count"] = "2"
    >>> headers.add("Link", "</a>"); headers.add("Link", "</b>")
    >>> headers.pairs()
    [('x-count', '2'), ('Link', '</a>'), ('Link', '</b>')]

    Raises TypeError for values that are not str, InvalidError for names and values that headers cannot hold, and
    StateError once the fields were sent.
    """

    __slots__ = ("_sent",)

    def __init__(self, fields: Mapping[str, str] | Pairs = ()) -> None:
        super().__init__()
        self._sent = False
        self.extend(fields)

    def __setitem__(self, name: str, value: str) -> None:
        pair = self._checked(name, value)
        key = self._key(name)
        places = [place for place, (known, _) in enumerate(self._pairs) if self._key(known) == key]
        if not places:
            self._pairs.append(pair)
            return
        self._pairs[places[0]] = pair
        for place in reversed(places[1:]):
            del self._pairs[place]

    def __delitem__(self, name: str) -> None:
        self._refuse_sent(name)
        key = self._key(name)
        kept = [pair for pair in self._pairs if self._key(pair[0]) != key]
        if len(kept) == len(self._pairs):
            raise KeyError(name)
        self._pairs[:] = kept

    def add(self, name: str, value: str) -> None:
        """Appends a field and keeps those of the same name."""
        self._pairs.append(self._checked(name, value))

    def extend(self, fields: Mapping[str, str] | Pairs) -> None:
        """Sets every field of a mapping, or adds every pair of an iterable."""
        if isinstance(fields, Mapping) and not isinstance(fields, Values):
            mapping: Any = fields
            for name, value in mapping.items():
                self[name] = value
            return
        for name, value in fields.pairs() if isinstance(fields, Values) else fields:
            self.add(name, value)

    def _close(self) -> None:
        """Makes later changes an error, because the fields were sent."""
        self._sent = True

    def _refuse_sent(self, name: str) -> None:
        if self._sent:
            raise StateError(f"header {name} comes too late: the head was sent with the first write()")

    def _checked(self, name: str, value: str) -> tuple[str, str]:
        self._refuse_sent(name)
        return checked(name, value)


# RFC 9110 5.6.2: token = 1*tchar
_TCHAR = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def is_token(text: str) -> bool:
    return bool(text) and _TCHAR.issuperset(text)


def is_text(value: str) -> bool:
    """Can the text be encoded as UTF-8? Surrogates cannot."""
    return not any("\ud800" <= c <= "\udfff" for c in value)


def checked(name: str, value: str) -> tuple[str, str]:
    """Checks a field at the line that sets it; the library would find it only when the response is sent."""
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"header {name!r}: {value!r}: names and values are str")
    if not is_token(name):
        raise InvalidError(f"header name {name!r} is not a token (letters, digits and !#$%&'*+-.^_`|~)")
    # RFC 9110 5.5: CR, LF and NUL are dangerous; of the other control characters, only the tab is allowed.
    if value.isprintable():
        return name, value
    if any(c != "\t" and (c < " " or c == "\x7f") for c in value):
        raise InvalidError(f"value of header {name}: {value!r} contains a control character")
    if not is_text(value):
        raise InvalidError(f"value of header {name}: {value!r} contains a surrogate, which UTF-8 cannot encode")
    return name, value
