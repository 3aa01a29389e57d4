"""The hottest path: functions that take a request, where it is served, and return the answer."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Callable

from . import _ffi, _json
from .headers import Params
from .slot import KIND_BYTES, KIND_JSON, STATUS, USER_DATA, LeftRequest, NamedRequest, SlotRequest, params_of
from .taker import Once

if TYPE_CHECKING:
    from .handler import Route, Step
    from .slot import Slot
    from .taker import Taker

    #: Answers the request in a slot, and those that it takes next while they are for the same steps. It gives OK where
    #: there is one for another, else why there is none.
    Serving = Callable[[Slot, Taker], int]

__all__ = ["answering", "serving", "servings"]

#: Status and kind are one word.
_JSON = 200 | KIND_JSON << 32
_OCTETS = 200 | KIND_BYTES << 32

#: What `getrefcount()` says of a local variable that nobody else has: it counts its own argument, which 3.14 borrows.
#: Where it says more, somebody may keep the object.
_ALONE = 1 if sys.version_info >= (3, 14) else 2


def answering(route: Route) -> Callable[[Slot], bytes | None]:
    """What answers one request for a route; it gives the reply, or None where that is in the slot already."""
    serve: Serving | None = None
    known = 0
    once = Once()

    def answer(slot: Slot) -> bytes | None:
        nonlocal serve, known
        number = slot.words[USER_DATA]
        if serve is None or number >= known:
            known = number + 1
            serve = serving([route] * known)
        serve(slot, once)
        return once.reply or None

    return answer


def servings(steps: Sequence[Step]) -> list[Serving | None]:
    """For each of an app's steps what serves it on one thread; None where each request is to be answered by itself."""
    plains = [step if step.is_plain else None for step in steps]
    serve = serving(plains)
    return [step.serving() if plain is None else serve for step, plain in zip(steps, plains)]


def serving(steps: Sequence[Any]) -> Serving:
    """What answers requests for the plain ones of an app's steps, where the others are None.

    To stay here from one request to the next, whatever its route, saves a call for each, 30 ns. What is needed is at
    hand as variables, and nothing is called that can be done without.
    """
    functions = [None if step is None else step.called for step in steps]
    all_names = [None if step is None else step.names or None for step in steps]
    chunks, encode = _json.chunks, _json.encode
    user_data, count = USER_DATA, sys.getrefcount

    def serve(slot: Slot, taker: Taker) -> int:
        words = slot.words
        answer = None
        while True:
            number = words[user_data]
            function = functions[number]
            if function is None:
                return _ffi.OK
            names = all_names[number]
            request: Any
            if names is None:
                request = SlotRequest()
            else:
                request = NamedRequest()
                octets = slot.params
                if len(names) > 1:
                    request.params = params_of(names, octets)
                else:
                    # As params_of() does.
                    try:
                        text = octets.decode()
                    except UnicodeDecodeError:
                        text = "%"
                    if "%" in text:
                        params = params_of(names, octets)
                    else:
                        params = Params()
                        params[names[0]] = text
                    request.params = params
            request._slot = slot
            try:
                answer = function(request)
                kind = type(answer)
                if kind is str:
                    data = answer.encode()
                elif kind is dict or kind is list:
                    try:
                        # As encode() does.
                        data = "".join(chunks(answer, 0)).encode()
                    except UnicodeEncodeError:
                        data = encode(answer)
                    words[STATUS] = _JSON
                elif kind is bytes:
                    data = answer
                    words[STATUS] = _OCTETS
                else:
                    data = None
                    taker.reply = b""
                    steps[number]._answer_with(request, slot, answer)
                if data is not None:
                    if request._slot is None:
                        raise steps[number]._answers_twice()
                    taker.reply = data
            except BaseException as error:  # SystemExit too: it would end a worker, not the program
                taker.reply = b""
                steps[number]._answer_failure(request, slot, error, answer)
            finally:
                request._slot = None
                if names is not None and count(request) != _ALONE:
                    request.__class__ = LeftRequest
            # They are not to live until the next ones take their places.
            request = answer = None
            # Gives the answer, and takes the next request.
            if taker:
                return taker.status

    return serve
