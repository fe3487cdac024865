"""Reading the file of a pipeline: every mistake at once, each with its line and its path."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rpe.errors import ConfigurationError, ManifestInvalid
from rpe.fakes.definition.problems import DefinitionInvalid, Found, told_problems, told_yaml
from rpe.fakes.nodes import NodeFunction
from rpe.fakes.pipelines.answers import Functions, read_answer
from rpe.fakes.pipelines.mistakes import mistakes
from rpe.fakes.pipelines.model import PipelineDefinition, PipelineDocument
from rpe.lined_yaml import LinedDocument, LinedYamlError, load_lined, unlined
from rpe.manifest.model import Manifest

__all__ = ["load_pipeline", "read_pipeline"]

_PLACE = re.compile(r"^((?:nodes|connections|metadata)[\w.\[\]]*):? ")


def load_pipeline(path: Path | str) -> PipelineDefinition:
    """Read the file of a pipeline; paths in it are counted from its folder.

    Raises DefinitionInvalid with every mistake; ConfigurationError where the file cannot be read.
    """
    file = Path(path)
    try:
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DefinitionInvalid(
            str(file), [f"{file}: this is not UTF-8 text: {error.reason} at byte {error.start}"]
        ) from error
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror or error}") from error
    try:
        document = load_lined(text)
    except LinedYamlError as error:
        raise DefinitionInvalid(str(file), told_yaml(str(file), error)) from None
    return _checked(document, str(file), file.resolve().parent)


def read_pipeline(text_or_data: str | dict[str, Any], folder: Path | str = ".") -> PipelineDefinition:
    """Read a pipeline from text or plain data; its paths are counted from `folder`.

    In plain data a node may be a Python function. Raises DefinitionInvalid with every mistake.
    """
    try:
        document = load_lined(text_or_data) if isinstance(text_or_data, str) else unlined(text_or_data)
    except LinedYamlError as error:
        raise DefinitionInvalid("the text", told_yaml("pipeline", error)) from None
    return _checked(document, "pipeline", Path(folder).resolve())


def _checked(document: LinedDocument, source: str, folder: Path) -> PipelineDefinition:
    if not isinstance(document.data, dict):
        what = "the file is empty" if document.data is None else "a pipeline is a mapping of keys and values"
        raise DefinitionInvalid(source, [f"{source}:1: {what}"])
    found: list[Found] = []
    try:
        PipelineDocument.model_validate(document.data)
    except ValidationError as error:
        found += mistakes(error)
    nodes, wrong = _nodes(document.data.get("nodes"), folder)
    found += wrong
    manifest, wrong = _manifest(document.data.get("manifest"), document.data.get("nodes"))
    found += wrong
    if found:
        raise DefinitionInvalid(source, told_problems(source, document, found))
    read = PipelineDocument.model_validate(document.data)
    return PipelineDefinition(read.pipeline, read.about, nodes, read.behaviour, manifest)


def _nodes(given: Any, folder: Path) -> tuple[dict[str, NodeFunction], list[Found]]:
    nodes: dict[str, NodeFunction] = {}
    found: list[Found] = []
    functions = Functions(folder)
    for name, answer in given.items() if isinstance(given, dict) else ():
        function, wrong = read_answer(answer, folder, functions)
        found += [(("nodes", name, *path), text) for path, text in wrong]
        if function is not None:
            nodes[name] = function
    return nodes, found


def _manifest(given: Any, nodes: Any) -> tuple[Manifest | None, list[Found]]:
    """Read a manifest, all of whose nodes must be among those that are served."""
    if not isinstance(given, dict):
        return None, []
    try:
        manifest = Manifest.from_dict(given)
    except ManifestInvalid as error:
        return None, [_placed(problem) for problem in error.problems or (error.message,)]
    served = nodes if isinstance(nodes, dict) else {}
    return manifest, [
        (("manifest", "nodes", place, "node_type"), f"{node.node_type} is not among the nodes of this file")
        for place, node in enumerate(manifest.nodes)
        if node.node_type not in served
    ]


def _placed(problem: str) -> Found:
    """Return a mistake of a manifest with the place that its text begins with."""
    match = _PLACE.match(problem)
    if match is None:
        return ("manifest",), problem
    parts = re.findall(r"\w+", match[1])
    path = tuple(int(part) if part.isdigit() else part for part in parts)
    return ("manifest", *path), problem[match.end() :]
