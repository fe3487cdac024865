"""What a node of a definition does: a ready-made function, one in Python, or always the same answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from rpe.data import Audio, Json, RuntimeData, Text
from rpe.errors import DataValidationError
from rpe.fakes.definition.problems import Found
from rpe.fakes.nodes import BUILT_IN, NodeCall, NodeFunction, NodeOutput
from rpe.fakes.pipelines import speech, tones, transcript, translation
from rpe.fakes.pipelines.mistakes import mistakes
from rpe.fakes.pipelines.ready import READY, bind

if TYPE_CHECKING:
    from rpe.fakes.definition.functions import FunctionFinder

__all__ = ["Functions", "read_answer"]

_READY_MADE = (speech, transcript, translation, tones)
"""The modules that register what is ready-made."""

_HOW = "{is: NAME, ...}, {text: ...}, {json: ...}, {audio: FILE} or a function as module:function"

Answered = tuple[NodeFunction | None, list[Found]]


class Functions:
    """Finds the functions in Python of one file, looking in its folder for those that cannot be imported."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._finder: FunctionFinder | None = None

    def read(self, given: Any) -> Answered:
        """Return the function of that name (or that is given itself), or what is wrong with it."""
        # What finds them takes as long to import as most of a pipeline does, and few files name any.
        from rpe.fakes.definition.functions import FunctionFinder, FunctionWrong

        self._finder = self._finder or FunctionFinder(self._folder)
        try:
            return cast(NodeFunction, self._finder.find(given).function), []
        except FunctionWrong as error:
            return None, [((), str(error))]


def read_answer(given: Any, folder: Path, functions: Functions) -> Answered:
    """Return the function of a node as it is written, or what is wrong with it.

    `folder` is where the files of sound are looked for, `functions` finds those in Python.
    """
    if isinstance(given, str) or callable(given):
        return functions.read(given)
    if not isinstance(given, dict):
        return None, [((), f"a node is {_HOW}")]
    kinds = [key for key in ("is", "text", "json", "audio") if key in given]
    if len(kinds) != 1:
        told = " and ".join(kinds) or "none of them"
        return None, [((), f"a node is {_HOW}; this has {told}")]
    [kind] = kinds
    if kind == "is":
        return _ready_made(given)
    unknown: list[Found] = [((key,), "this key is unknown") for key in given if key != kind]
    answer, wrong = _canned(kind, given[kind], folder)
    return (None if answer is None else _always(answer)), [*unknown, *wrong]


def _ready_made(given: Mapping[str, Any]) -> Answered:
    name = given["is"]
    settings = {key: value for key, value in given.items() if key != "is"}
    if isinstance(name, str) and name in READY:
        try:
            return bind(name, settings), []
        except ValidationError as error:
            return None, mistakes(error)
    if isinstance(name, str) and name in BUILT_IN:
        wrong: list[Found] = [
            ((key,), f"{name} has no settings here; its params stand in the manifest") for key in settings
        ]
        return BUILT_IN[name], wrong
    known = ", ".join([*READY, *BUILT_IN])
    return None, [(("is",), f"there is no ready-made {name!r}; there are {known}")]


def _canned(kind: str, value: Any, folder: Path) -> tuple[RuntimeData | None, list[Found]]:
    try:
        if kind == "json":
            return Json(value), []
        if not isinstance(value, str):
            return None, [((kind,), "this must be text")]
        return (Text(value) if kind == "text" else Audio.from_wav(folder / value)), []
    except DataValidationError as error:
        return None, [((kind,), error.message)]
    except OSError as error:
        return None, [((kind,), f"{value} cannot be read: {error.strerror or error}")]


def _always(answer: RuntimeData) -> NodeFunction:
    def canned(data: RuntimeData, call: NodeCall) -> NodeOutput:
        return answer

    return canned
