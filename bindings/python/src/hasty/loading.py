"""Loads the application that `python -m hasty` serves: from a module or a file, or by calling a factory in it."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from .app import App

if TYPE_CHECKING:
    from typing_extensions import Literal

    Interface = Literal["hasty", "wsgi", "asgi"]

__all__ = ["Broken", "Misnamed", "Refused", "Target", "interface", "load"]

#: Names of an application if the target does not give one.
USUAL = ("app", "application")
#: Suffixes of Python files; ".wsgi" is customary with other servers.
SUFFIXES = (".py", ".wsgi")
#: Usual names of application factories.
FACTORIES = ("create_app", "make_app", "create_application", "make_application")

PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class Refused(Exception):
    """Raised if nothing can be served; the message says why, in one sentence."""


class Misnamed(Refused):
    """Raised for invalid arguments, such as a malformed target."""


class Broken(Exception):
    """Raised if the user's code raised an exception; the message is its traceback, with only the user's frames."""


class Target(NamedTuple):
    """A parsed target: `module` or `file.py`, optionally a colon and a name, and "()" after the name of a factory.

    >>> Target.read("shop.web:make_app()")
    Target(place='shop.web', name='make_app', call=True)
    >>> Target.read("./hello.py")
    Target(place='./hello.py', name=None, call=False)
    """

    place: str
    name: str | None
    call: bool

    @classmethod
    def read(cls, text: str) -> Target:
        place, colon, name = text.rpartition(":")
        if not colon or os.path.exists(text):
            return cls(text, None, False)
        call = name.endswith("()")
        name = name[:-2] if call else name
        if not place or not _is_dotted(name):
            raise Misnamed(f'"{text}" is none of DIR, MODULE:NAME, FILE.py:NAME and MODULE:FUNCTION()')
        return cls(place, name, call)

    @property
    def is_file(self) -> bool:
        """Is it a path? That includes a package's directory if it is given with a slash."""
        return self.place.endswith(SUFFIXES) or os.path.isfile(self.place) or os.sep in self.place

    def __str__(self) -> str:
        return self.place + (f":{self.name}" if self.name else "") + ("()" if self.call else "")


def load(target: Target) -> Any:
    """Imports the module of a target and returns the application.

    Raises Refused if it is not found, and Broken if its code fails.
    """
    try:
        with _listening_left_to_us():
            module = _module_of_file(target) if target.is_file else _module(target)
        found = _usual(module, target.place) if target.name is None else _named(module, target)
        return _made(found, target) if target.call else found
    except Refused:
        raise
    except Exception as error:
        raise Broken(trimmed(error)) from None


def interface(application: Any, shown: object, asked: str | None = None) -> Interface:
    """Returns the interface of an application: detected by its signature, or as `asked`.

    >>> interface(App(), "app")
    'hasty'
    >>> interface(lambda environ, start_response: [b"hello"], "app")
    'wsgi'
    >>> async def application(scope, receive, send): ...
    >>> interface(application, "application")
    'asgi'

    Raises Refused if it is not an application, or could be either.
    """
    if isinstance(application, App):
        if asked is not None:
            raise Refused(f"{shown} is a hasty.App; remove --interface {asked}")
        return "hasty"
    if not callable(application):
        raise Refused(f"{shown} is {_kind(application)}, not a hasty.App, nor a WSGI or ASGI application")
    if asked is not None:
        return "asgi" if asked == "asgi" else "wsgi"
    return _by_shape(application, shown)


def trimmed(error: BaseException) -> str:
    """Returns the traceback of an exception, without frames of this package and of the import system."""
    told = traceback.TracebackException.from_exception(error)
    waiting = [told]
    while waiting:
        part = waiting.pop()
        part.stack = traceback.StackSummary.from_list([frame for frame in part.stack if not _is_ours(frame.filename)])
        # Exception groups exist since Python 3.11.
        waiting += [*filter(None, (part.__cause__, part.__context__)), *(getattr(part, "exceptions", None) or ())]
    return "".join(told.format())


def _is_ours(filename: str) -> bool:
    return filename.startswith((PACKAGE, "<frozen importlib", "<frozen runpy")) or filename == importlib.__file__


# --- modules ---


def _module(target: Target) -> ModuleType:
    """Imports a module by its name; those in the working directory come first."""
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    module = _imported(target.place, _nowhere(target))
    # Python may have imported a module of that name already, such as "site"; the user means the local file.
    neighbour = Path(here, f"{target.place}.py")
    if neighbour.is_file() and not _is_from(module, neighbour):
        return _loaded(target.place, neighbour)
    return module


def _is_from(module: ModuleType, file: Path) -> bool:
    origin = getattr(module, "__file__", None)
    return origin is not None and os.path.exists(origin) and file.samefile(origin)


def _imported(name: str, otherwise: str) -> ModuleType:
    """Imports a module; raises Refused with the message `otherwise` if it does not exist."""
    if not _is_dotted(name):
        raise Refused(otherwise)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # If the missing module is one that the user's code imports, that is an error in the code.
        missing = error.name is not None and f"{name}.".startswith(f"{error.name}.")
        if missing and all(_is_ours(frame.filename) for frame in traceback.extract_tb(error.__traceback__)):
            raise Refused(otherwise) from None
        raise


def _nowhere(target: Target) -> str:
    if target.name is None:
        return f'"{target.place}" is neither a directory in {os.getcwd()} nor a module that Python finds'
    return f'there is no module "{target.place}", neither in {os.getcwd()} nor where else Python looks'


def _module_of_file(target: Target) -> ModuleType:
    """Imports a module by its file: as `python FILE` does, or as part of its package."""
    place = target.place
    if os.path.isdir(place):
        place = os.path.join(place, "__init__.py")
    if not os.path.isfile(place):
        directory = "" if target.name or place.endswith(SUFFIXES) else ", and no directory of that name"
        raise Refused(f"there is no file {place}{directory}")
    if not place.endswith(SUFFIXES):
        raise Refused(f"{place} is a file, but its name does not end with .py or .wsgi")
    file = Path(place).resolve()
    root, names = file.parent, [] if file.stem == "__init__" else [file.stem]
    while (root / "__init__.py").is_file():
        names.insert(0, root.name)
        root = root.parent
    sys.path.insert(0, str(root))
    if len(names) > 1 or file.stem == "__init__":
        # Relative imports need the parent packages.
        name = ".".join(names)
        elsewhere = f'{place} is "{name}", which Python finds elsewhere: another "{names[0]}" comes first'
        module = _imported(name, elsewhere)
        if not _is_from(module, file):
            raise Refused(elsewhere)
        return module
    return _loaded(names[0], file)


def _loaded(name: str, file: Path) -> ModuleType:
    # Do not replace another module of that name, such as one of Python's own.
    if name in sys.modules:
        name = f"{name} of {file.parent}"
    loader = SourceFileLoader(name, str(file))
    spec = importlib.util.spec_from_file_location(name, file, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _listening_left_to_us() -> Iterator[None]:
    """Makes `app.listen()`, `run()` and `serve()` do nothing: at the end of a module, they would start another server
    during the import.
    """

    def passed_over(app: App, *arguments: object, **named: object) -> None:
        caller = sys._getframe(1)
        while _is_ours(caller.f_code.co_filename) and caller.f_back is not None:
            caller = caller.f_back
        where = f"{os.path.relpath(caller.f_code.co_filename)}, line {caller.f_lineno}"
        print(f"hasty: {where}: passed over, since python -m hasty listens by itself", file=sys.stderr)

    def passed_over_in_a_loop(app: App, *arguments: object, **named: object) -> Awaitable[None]:
        passed_over(app)
        return _nothing()

    instead: dict[str, Any] = {"listen": passed_over, "run": passed_over, "serve": passed_over_in_a_loop}
    kept = {name: getattr(App, name) for name in instead}
    for name, function in instead.items():
        setattr(App, name, function)
    try:
        yield
    finally:
        for name, function in kept.items():
            setattr(App, name, function)


async def _nothing() -> None:
    pass


# --- names in modules ---


def _named(module: ModuleType, target: Target) -> Any:
    found: Any = module
    for name in (target.name or "").split("."):
        if not hasattr(found, name):
            near = difflib.get_close_matches(name, [known for known in dir(found) if not known.startswith("_")], 1)
            raise Refused(f'{target.place} has no "{target.name}"' + (f'; is it "{near[0]}"?' if near else ""))
        found = getattr(found, name)
    return found


def _usual(module: ModuleType, place: str) -> Any:
    for name in USUAL:
        if hasattr(module, name):
            return getattr(module, name)
    apps = {name: value for name, value in vars(module).items() if isinstance(value, App)}
    if len({id(app) for app in apps.values()}) == 1:
        return next(iter(apps.values()))
    if apps:
        raise Refused(f"{place} has several apps: name one, as in {place}:{next(iter(apps))}")
    made = [f"{name}()" for name in FACTORIES if callable(getattr(module, name, None))] or ["NAME"]
    raise Refused(f'{place} has no "app" and no "application": give its name, as in {place}:{made[0]}')


def _made(factory: Any, target: Target) -> Any:
    if not callable(factory):
        raise Refused(f"{target} cannot be called: {target.name} is {_kind(factory)}")
    if not _takes(factory, 0):
        raise Refused(f"{target} cannot be called without arguments")
    made = factory()
    if inspect.iscoroutine(made):
        made.close()
        raise Refused(f"{target} is an async function: a function that makes an application must be plain")
    return made


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


# --- interfaces ---


def _by_shape(application: Any, shown: object) -> Interface:
    called = application if inspect.isclass(application) else application.__call__
    waits = inspect.iscoroutinefunction(application) or inspect.iscoroutinefunction(called)
    first = next(iter(_parameters(application)), "")
    # (environ, start_response), or (scope, receive, send).
    two = _takes(application, 2) and first != "scope"
    three = _takes(application, 3) and first not in ("environ", "env")
    if three and (waits or not two):
        return "asgi"
    if two and not three and not waits:
        return "wsgi"
    if two and three:
        raise Refused(f"{shown} may be a WSGI or an ASGI application: add --interface wsgi or --interface asgi")
    hint = f"; if it returns one, write {shown}()" if _takes(application, 0) and not str(shown).endswith("()") else ""
    raise Refused(f"{shown} is {_kind(application)} that is neither a WSGI nor an ASGI application{hint}")


def _parameters(function: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        # Callables written in C may have no signature: assume that they take any arguments.
        return {"anything": inspect.Parameter("anything", inspect.Parameter.VAR_POSITIONAL)}


def _takes(function: Any, count: int) -> bool:
    """Can it be called with `count` positional arguments?"""
    try:
        inspect.Signature(list(_parameters(function).values())).bind(*[None] * count)
    except TypeError:
        return False
    return True


def _kind(value: object) -> str:
    if inspect.ismodule(value):
        return "a module"
    if inspect.isclass(value):
        return "a class"
    if inspect.isroutine(value):
        return "a function"
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
