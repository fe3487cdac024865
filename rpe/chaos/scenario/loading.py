"""Reading scenario files: every mistake of every file at once, each with its file, line and field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath

from pydantic import ValidationError

from rpe.chaos.scenario.carrying import misplaced_faults
from rpe.chaos.scenario.errors import Problem, ScenarioError
from rpe.chaos.scenario.matrix import TRANSPORT, Cell, expand
from rpe.chaos.scenario.model import Scenario, model_schema
from rpe.chaos.scenario.remainder import without
from rpe.chaos.scenario.rules import broken_rules
from rpe.chaos.scenario.wording import dotted, mistakes
from rpe.lined_yaml import LinedDocument, LinedYamlError, Path, load_lined

__all__ = ["ScenarioFile", "discover", "load", "parse"]

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class ScenarioFile:
    """A scenario, the file it is from, and its cells. Its theme is the name of the folder."""

    path: FilePath
    scenario: Scenario
    cells: tuple[Cell, ...]

    @property
    def theme(self) -> str:
        """The name of the folder that the file lies in."""
        return self.path.resolve().parent.name


def parse(text: str, source: str = "scenario") -> Scenario:
    """Read a scenario from text. Raises ScenarioError with every mistake; `source` names the text in it."""
    scenario, _, problems = _read(text, source, "")
    if scenario is None or problems:
        raise ScenarioError(problems)
    return scenario


def load(path: FilePath) -> ScenarioFile:
    """Read one scenario file. Raises ScenarioError with every mistake, also where the file is missing."""
    file, problems = _load(path)
    if file is None:
        raise ScenarioError(problems)
    return file


def discover(paths: Iterable[FilePath]) -> list[ScenarioFile]:
    """Read scenario files, and those in folders and below, in the order of their paths.

    Hidden folders and files are passed over; a file that is named twice is read once.
    Raises ScenarioError with every mistake of every file, where a path does not exist,
    a folder holds no scenario, or two files have scenarios of one name.
    """
    problems: list[Problem] = []
    files: list[ScenarioFile] = []
    for path in _files(paths, problems):
        file, found = _load(path)
        problems += found
        if file is not None:
            files.append(file)
    first: dict[str, FilePath] = {}
    for file in files:
        name = file.scenario.name
        if name in first:
            line = _document(file.path).line(("name",))
            message = f"the name {name!r} is taken by {first[name]}; names are unique among all files"
            problems.append(Problem(str(file.path), line, "name", message))
        first.setdefault(name, file.path)
    if problems:
        raise ScenarioError(problems)
    return files


def _files(paths: Iterable[FilePath], problems: list[Problem]) -> Iterator[FilePath]:
    seen: set[FilePath] = set()
    for path in paths:
        if path.is_dir():
            inside = sorted(
                file
                for file in path.rglob("*")
                if file.suffix in SUFFIXES
                and file.is_file()
                and not any(part.startswith(".") for part in file.relative_to(path).parts)
            )
            if not inside:
                problems.append(Problem(str(path), 0, "", "there is no scenario file in this folder"))
        else:
            inside = [path]
        for file in inside:
            if file.resolve() not in seen:
                seen.add(file.resolve())
                yield file


def _load(path: FilePath) -> tuple[ScenarioFile | None, list[Problem]]:
    source = str(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None, [Problem(source, 0, "", "there is no such file")]
    except UnicodeDecodeError as error:
        return None, [Problem(source, 0, "", f"this is not UTF-8 text: {error.reason} at byte {error.start}")]
    except OSError as error:
        return None, [Problem(source, 0, "", f"cannot be read: {error.strerror or error}")]
    scenario, cells, problems = _read(text, source, path.resolve().parent.name)
    if scenario is None or problems:
        return None, problems
    return ScenarioFile(path, scenario, tuple(cells)), []


def _document(path: FilePath) -> LinedDocument:
    return load_lined(path.read_text(encoding="utf-8"))


def _read(text: str, source: str, theme: str) -> tuple[Scenario | None, list[Cell], list[Problem]]:
    """Read one text as far as possible, and note everything that is wrong with it."""
    try:
        document = load_lined(text)
    except LinedYamlError as error:
        return None, [], [Problem(source, line, dotted(path), message) for line, path, message in error.found]
    if not isinstance(document.data, dict):
        what = "the file is empty" if document.data is None else "a scenario is a mapping of keys and values"
        return None, [], [Problem(source, 1, "", what)]
    cells: list[Cell] = []
    scenario, found = _validated(document)
    if scenario is not None and not found:
        cells, found = expand(scenario, theme)
        found += [*_broken_cells(cells), *_misplaced(cells)]
    problems = [
        Problem(source, document.line(path), dotted(_as_written(path, document)), text)
        for path, text in found
    ]
    return scenario, cells, sorted(problems, key=lambda problem: problem.line)


def _validated(document: LinedDocument) -> tuple[Scenario | None, list[tuple[Path, str]]]:
    """Fit the data to the model and its rules; where entries do not fit, look at the rest without them."""
    try:
        scenario = Scenario.model_validate(document.data)
    except ValidationError as error:
        found = mistakes(error.errors(), document, model_schema())
    else:
        return scenario, broken_rules(scenario)
    if not document.data.get("faults") or not document.data.get("servers"):
        return None, found  # with nothing there at all, everything would refer to nothing
    rest = without(document.data, [path for path, _ in found])
    try:
        scenario = Scenario.model_validate(rest.data)
    except ValidationError:
        return None, found
    return None, found + [
        (rest.original(path), message) for path, message in broken_rules(scenario, rest.names)
    ]


def _broken_cells(cells: list[Cell]) -> Iterator[tuple[Path, str]]:
    """Find what the values of a matrix break that the file itself does not."""
    told: set[tuple[Path, str]] = set()
    for cell in cells:
        for path, message in broken_rules(cell.scenario):
            if (path, message) not in told:
                told.add((path, message))
                keys = [key for key in cell.values if key != TRANSPORT]
                where: Path = ("matrix", keys[0]) if len(keys) == 1 else ("matrix",)
                yield where, f"in {cell.id}: {dotted(path)}: {message}"


def _misplaced(cells: list[Cell]) -> Iterator[tuple[Path, str]]:
    """Find the faults that cannot act on the wire of a cell; the matrix is not to name that wire."""
    told: set[str] = set()
    for cell in cells:
        for path, message in misplaced_faults(cell.scenario, cell.transport):
            if message not in told:
                told.add(message)
                yield ("matrix", TRANSPORT) if TRANSPORT in cell.values else path, message


def _as_written(path: Path, document: LinedDocument) -> Path:
    """Leave the position out where a file gives a single workload without a list."""
    if path[:2] == ("workload", 0) and not isinstance(document.data.get("workload"), list):
        return ("workload", *path[2:])
    return path
