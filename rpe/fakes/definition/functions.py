"""Functions in Python that a definition names: found when it is loaded, and called with care."""

from __future__ import annotations

import inspect
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from rpe.fakes.definition.calls import Call, chance
from rpe.fakes.definition.details import Status
from rpe.fakes.definition.ending import CallEnded
from rpe.fakes.definition.scenarios import Scenarios

__all__ = ["CallInfo", "Function", "FunctionFailed", "FunctionFinder", "FunctionWrong"]


class FunctionWrong(Exception):
    """What a definition names is no function that can be used."""


class FunctionFailed(Exception):
    """A function of a definition raised what ends no call, or returned what is no answer.

    The text names the function and the kind of the error alone: the rest may hold a secret. `error` has it.
    """

    def __init__(self, text: str, error: Exception) -> None:
        super().__init__(text)
        self.error = error

    @classmethod
    def raised(cls, name: str, error: Exception) -> FunctionFailed:
        """Return the failure of a function that raised an error."""
        return cls(f"the function {name} raised {type(error).__name__}", error)


class CallInfo:
    """What a function is told of the call, beside its requests.

    scenarios: the states of the fake's scenarios, to look at and to set.
    """

    __slots__ = ("_call", "_random", "_seed", "scenarios")

    def __init__(self, call: Call, scenarios: Scenarios, seed: int = 0) -> None:
        self.scenarios = scenarios
        self._call = call
        self._seed = seed
        self._random: random.Random | None = None

    def __repr__(self) -> str:
        return f"CallInfo({self.service}/{self.method}, number={self.number})"

    @property
    def service(self) -> str:
        """The full name of the service."""
        return self._call.service

    @property
    def method(self) -> str:
        """The name of the method."""
        return self._call.method

    @property
    def number(self) -> int:
        """Which call of its method it is, from 1."""
        return self._call.number

    @property
    def metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """What the caller sent, without what belongs to gRPC itself."""
        return self._call.metadata

    def value(self, key: str) -> str | bytes | None:
        """Return the first value of a key of the metadata; None where there is none."""
        return next((value for name, value in self.metadata if name == key), None)

    @property
    def random(self) -> random.Random:
        """Chance for this call: the same for the same seed, method and number of the call."""
        if self._random is None:
            self._random = chance(self._seed, self._call, "/function")
        return self._random


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the request (or requests) and of the call, and its name for what is told."""

    name: str
    function: Callable[[Any, CallInfo], Any]

    def __call__(self, request: Any, info: CallInfo) -> Any:
        """Call it. Raises Status or CallEnded where it ended the call, and FunctionFailed for all else."""
        try:
            return self.function(request, info)
        except (CallEnded, Status):
            raise
        except Exception as error:
            raise FunctionFailed.raised(self.name, error) from error

    async def result(self, awaitable: Awaitable[Any]) -> Any:
        """Wait for what it returned. Raises as calling it does."""
        try:
            return await awaitable
        except (CallEnded, Status):
            raise
        except Exception as error:
            raise FunctionFailed.raised(self.name, error) from error

    async def step(self, iterator: AsyncIterator[Any], end: object) -> Any:
        """Wait for the next part of what it yields, or return `end`. Raises as calling it does."""

        async def next_one() -> Any:
            return await anext(iterator, end)

        return await self.result(next_one())

    def unfit(self, told: str) -> FunctionFailed:
        """Return the failure of a function that returned what it should not have."""
        text = f"the function {self.name} {told}"
        return FunctionFailed(text, TypeError(text))


class FunctionFinder:
    """Finds the functions of one definition; those of one module share that module.

    `folder` is where the definition's file lies: where no module of a name can be imported, a file
    of that name there is run, anew for each finder, so that a definition that is loaded again finds
    what was edited. None: only what can be imported.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._ran: dict[Path, Any] = {}

    def find(self, given: Any, *, plain: bool = False) -> Function:
        """Return the function that a definition names, or holds.

        Arguments:
            given: `module:function`, or what can be called with a request and a call.
            plain: whether it has to be a function that neither waits nor yields.

        Raises FunctionWrong with what is wrong.
        """
        name = given if isinstance(given, str) else getattr(given, "__qualname__", type(given).__name__)
        name = name.rpartition("<locals>.")[2]
        found = self._named(given) if isinstance(given, str) else given
        if not callable(found):
            raise FunctionWrong(f"{name} is not a function, but a {type(found).__name__}")
        if plain and _waits(found):
            raise FunctionWrong(f"{name} must be a plain function: one that returns, and waits for nothing")
        try:
            inspect.signature(found).bind(None, None)
        except TypeError as error:
            raise FunctionWrong(f"{name} is called with (request, call): {error}") from error
        except ValueError:
            pass  # something built in, of which Python does not know what it takes
        return Function(name, found)

    def _named(self, name: str) -> Any:
        module_name, _, path = name.partition(":")
        try:
            found = self._module(module_name)
        except (Exception, SystemExit) as error:
            told = f"{type(error).__name__}: {error}"
            raise FunctionWrong(f"the module {module_name} cannot be imported: {told}") from error
        for part in path.split("."):
            if not hasattr(found, part):
                raise FunctionWrong(f"the module {module_name} has no {path}")
            found = getattr(found, part)
        return found

    def _module(self, name: str) -> Any:
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            file = None if self._folder is None else self._folder / f"{name}.py"
            if error.name != name or file is None or not file.is_file():
                raise
        if file not in self._ran:
            module = ModuleType(f"rpe_fake_{name}")
            module.__file__ = str(file)
            sys.modules[module.__name__] = module  # dataclasses look their module up
            # Not by a loader: what it cached would hide an edit of the same second and length.
            exec(compile(file.read_bytes(), file, "exec"), module.__dict__)
            self._ran[file] = module
        return self._ran[file]


def _waits(function: Any) -> bool:
    kinds = (inspect.iscoroutinefunction, inspect.isasyncgenfunction, inspect.isgeneratorfunction)
    return any(is_kind(function) for is_kind in kinds)
