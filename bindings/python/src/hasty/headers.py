"""Mappings in which a name may have several values: header fields, query, form, parameters, cookies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping

from .errors import InvalidError

__all__ = ["Headers", "MutableHeaders", "Values"]

Pairs = Iterable[tuple[str, str]]


class Values(Mapping[str, str]):
    """Names and values in their order of arrival; looking a name up gives its first value.

    >>> values = Values([("tag", "c"), ("q", ""), ("tag", "python")])
    >>> values["tag"], values.getall("tag"), values.get("page")
    ('c', ['c', 'python'], None)
    >>> list(values), values.pairs()
    (['tag', 'q'], [('tag', 'c'), ('q', ''), ('tag', 'python')])
    """

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Pairs = ()) -> None:
        self._pairs = list(pairs)

    @staticmethod
    def _key(name: str) -> str:
        return name

    def __getitem__(self, name: str) -> str:
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

    def getall(self, name: str) -> list[str]:
        """Every value of `name`, in order; an empty list where there is none."""
        key = self._key(name)
        return [value for known, value in self._pairs if self._key(known) == key]

    def pairs(self) -> list[tuple[str, str]]:
        """Every name with every value, in order, repeated ones too."""
        return list(self._pairs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._pairs!r})"


class Headers(Values):
    """Header fields: names compare without case.

    >>> headers = Headers([("Content-Type", "text/plain")])
    >>> headers["content-type"], "CONTENT-TYPE" in headers
    ('text/plain', True)
    """

    __slots__ = ()

    @staticmethod
    def _key(name: str) -> str:
        return name.lower()


class MutableHeaders(Headers, MutableMapping[str, str]):
    """Header fields of an answer: assignment replaces, `add` appends. Names and values are checked at once.

    >>> headers = MutableHeaders()
    >>> headers["X-Count"] = "1"
    >>> headers["x-count"] = "2"
    >>> headers.add("Link", "</a>"); headers.add("Link", "</b>")
    >>> headers.pairs()
    [('x-count', '2'), ('Link', '</a>'), ('Link', '</b>')]
    """

    __slots__ = ()

    def __init__(self, fields: Mapping[str, str] | Pairs = ()) -> None:
        super().__init__()
        self.extend(fields)

    def __setitem__(self, name: str, value: str) -> None:
        pair = _checked(name, value)
        key = self._key(name)
        places = [place for place, (known, _) in enumerate(self._pairs) if self._key(known) == key]
        if not places:
            self._pairs.append(pair)
            return
        self._pairs[places[0]] = pair
        for place in reversed(places[1:]):
            del self._pairs[place]

    def __delitem__(self, name: str) -> None:
        key = self._key(name)
        kept = [pair for pair in self._pairs if self._key(pair[0]) != key]
        if len(kept) == len(self._pairs):
            raise KeyError(name)
        self._pairs[:] = kept

    def add(self, name: str, value: str) -> None:
        """Appends a field, beside those of the same name."""
        self._pairs.append(_checked(name, value))

    def extend(self, fields: Mapping[str, str] | Pairs) -> None:
        """Sets every field of a mapping, or adds every pair of an iterable."""
        if isinstance(fields, Values):
            fields = fields.pairs()
        if isinstance(fields, Mapping):
            for name, value in fields.items():
                self[name] = value
        else:
            for name, value in fields:
                self.add(name, value)


# RFC 9110 5.6.2: token = 1*tchar
_TCHAR = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def is_token(text: str) -> bool:
    return bool(text) and _TCHAR.issuperset(text)


def _checked(name: str, value: str) -> tuple[str, str]:
    """Refused here, a bad field is an error at the line that made it; the library would only refuse the answer."""
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"header {name!r}: {value!r}: names and values are str")
    if not is_token(name):
        raise InvalidError(f"header name {name!r} is not a token (letters, digits and !#$%&'*+-.^_`|~)")
    # RFC 9110 5.5: CR, LF and NUL are dangerous, other control characters are not allowed either, but for the tab.
    if not value.isprintable() and any(c != "\t" and (c < " " or c == "\x7f") for c in value):
        raise InvalidError(f"value of header {name}: {value!r} holds a control character")
    return name, value
