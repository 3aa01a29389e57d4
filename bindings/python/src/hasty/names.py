"""Names of routes, and building their URLs."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from .errors import InvalidError, NotFoundError

__all__ = ["Names"]


class Names:
    """The patterns of an app's routes, by name."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}
        #: By function name: functions may share a name, and serve several patterns.
        self._functions: dict[str, list[str]] = {}

    def refuse_double(self, name: str | None) -> None:
        if name is not None and name in self._given:
            raise InvalidError(f"name {name!r} is already that of {self._given[name]}")

    def add(self, name: str, pattern: str, given: bool) -> None:
        if given:
            self._given[name] = pattern
        elif pattern not in self._functions.setdefault(name, []):
            self._functions[name].append(pattern)

    def url(self, name: str, values: dict[str, object]) -> str:
        left = dict(values)
        path = "/".join(_filled(part, left, name) for part in self._pattern(name).split("/"))
        for key, value in left.items():
            if value is None:
                raise InvalidError(f"url({name!r}): {key!r} is None: leave it out or give a value")
        return f"{path}?{urlencode(left, doseq=True)}" if left else path

    def _pattern(self, name: str) -> str:
        if name in self._given:
            return self._given[name]
        patterns = self._functions.get(name, [])
        if len(patterns) > 1:
            raise InvalidError(f"{name!r} is the function of {' and '.join(patterns)}: give one of them a name")
        if not patterns:
            known = ", ".join(sorted({*self._given, *self._functions})) or "none"
            raise NotFoundError(f"there is no route named {name!r}; known: {known}")
        return patterns[0]


def _filled(part: str, values: dict[str, object], name: str) -> str:
    """Returns a segment of a pattern with its value filled in, and takes that from `values`."""
    if part[:1] not in (":", "*"):
        return quote(part, safe="%!$&'()*+,;=:@")
    key = part if part == "*" else part[1:]
    value = values.pop(key, None)
    if value is None:
        raise InvalidError(f"url({name!r}) needs a value for {key!r}, which is part of the path")
    text = str(value)
    if not text and part[0] == ":":
        raise InvalidError(f"url({name!r}): {key!r} is empty, which would match no route")
    if part[0] == "*" and text[:1] == "/":
        raise InvalidError(f"url({name!r}): {key!r} is {text!r}: write the rest of the path without its leading slash")
    if {".", ".."} & set(text.split("/") if part[0] == "*" else [text]):
        raise InvalidError(f"url({name!r}): {key!r} is {text!r}, which clients would normalise away")
    return quote(text, safe="/" if part[0] == "*" else "")
