"""The hottest path: plain handlers, which run on the serving thread, take the request, and return the response."""

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

    #: Answers the request in a slot, and takes further ones, while they are for its steps. Returns OK if the slot has a
    #: request for another step, otherwise the status that says why it has none.
    Serving = Callable[[Slot, Taker], int]

__all__ = ["answering", "serving", "servings"]

#: Status and kind are one word.
_JSON = 200 | KIND_JSON << 32
_OCTETS = 200 | KIND_BYTES << 32

#: The result of `getrefcount()` for an object that only a local variable refers to; up to 3.13 that includes the call's
#: own argument. If it is higher, the object may be referenced elsewhere.
_ALONE = 1 if sys.version_info >= (3, 14) else 2


def answering(route: Route) -> Callable[[Slot], bytes | None]:
    """Returns a function that answers one request for a route, and returns the reply, or None if the slot has it."""
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
    """Returns for each step a function that serves consecutive requests on one thread; None if a step has none."""
    plains = [step if step.is_plain else None for step in steps]
    serve = serving(plains)
    return [step.serving() if plain is None else serve for step, plain in zip(steps, plains)]


def serving(steps: Sequence[Any]) -> Serving:
    """Returns a function that answers requests for the plain steps of an app; the others are None in `steps`.

    It loops over requests for any of these routes, which saves a call of 30 ns for each. For speed it uses local
    variables, and avoids calls.
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
                    # Inlined params_of().
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
                        # Inlined encode().
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
            # Free both now, not only when the next request arrives.
            request = answer = None
            # Sends the response, and takes the next request.
            if taker:
                return taker.status

    return serve
