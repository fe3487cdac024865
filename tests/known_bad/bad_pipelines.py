"""Clients that run a pipeline of their own, and treat its remote nodes badly.

Each is this project's own runner with one defect: before it, in the pipeline that it is given, or
behind it, in what it tells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rpe.chaos.subject import Subject, SubjectContext, SubjectOperation, SubjectStream
from rpe.data import RuntimeData
from rpe.errors import ConfigurationError
from rpe.manifest.model import Manifest
from rpe.manifest.remote import REMOTE_NODE_TYPES
from rpe.node import NodeFailed
from rpe.subjects import reliable
from rpe.subjects.pipeline import without_reliability

__all__ = [
    "blames_the_first_node",
    "keeps_its_first_token",
    "never_falls_back",
    "pipeline_tries_once",
    "run_pipeline",
]


async def run_pipeline(context: SubjectContext) -> Subject:
    """Make the client without a defect. Raises ConfigurationError where there is no pipeline to run here."""
    if not context.pipeline:
        raise ConfigurationError("this client only runs pipelines of its own", hint="name a scenario of such")
    return await reliable.create(context)


async def keeps_its_first_token(context: SubjectContext) -> Subject:
    """It reads the files with its tokens when it starts, and never again.

    Tokens that are replaced in their file in good time were read once, and an hour later every call was
    refused until somebody restarted the client: pomerium/pomerium#2722, flanksource/canary-checker#2858,
    ManageIQ/kubeclient#530.
    """
    return await run_pipeline(_changed(context, _with_token))


async def never_falls_back(context: SubjectContext) -> Subject:
    """It has been told whom to ask when a whole pool is gone, and fails with that pool all the same.

    Calls were dropped, all of them, while the other provider that was named for just this stood by, since
    the first error ended everything: livekit/agents-js#2399, rajathjn/shorts_maker#4.
    """
    return await run_pipeline(_changed(context, _without_fallback))


async def pipeline_tries_once(context: SubjectContext) -> Subject:
    """Its remote nodes try once, at the first server of their pool, so each sentence depends on one server.

    A connection that was lost while a voice was synthesised was not tried again, and the caller heard
    silence: livekit/agents-js#790.
    """
    return await run_pipeline(replace(context, manifest=without_reliability(context.manifest)))


async def blames_the_first_node(context: SubjectContext) -> Subject:
    """Whatever node of its pipeline fails, it is the first remote one that it names.

    Errors named a stage that nothing was wrong with, or all of them, and sent whoever read them to the
    wrong place: facebookresearch/spdl#1006, langgenius/dify#22858, deepset-ai/haystack#10440.
    """
    first = next(node.id for node in context.manifest.nodes if node.node_type in REMOTE_NODE_TYPES)
    return _Blaming(await run_pipeline(context), first)


class _Blaming:
    """Fills `rpe.chaos.subject.Subject`: another one, with errors that name one node whoever failed."""

    def __init__(self, subject: Subject, blamed: str) -> None:
        self._subject = subject
        self._blamed = blamed

    async def execute(self, operation: SubjectOperation) -> Mapping[str, RuntimeData]:
        try:
            return await self._subject.execute(operation)
        except NodeFailed as error:
            error.node = self._blamed
            raise

    async def open_stream(self, operation: SubjectOperation) -> SubjectStream:
        return await self._subject.open_stream(operation)

    def in_flight(self) -> int | None:
        return self._subject.in_flight()

    async def close(self) -> None:
        await self._subject.close()


def _changed(context: SubjectContext, change: Callable[[dict[str, Any]], None]) -> SubjectContext:
    """The same with other params of each remote node."""
    written = context.manifest.to_dict()
    for node in written["nodes"]:
        if node["node_type"] in REMOTE_NODE_TYPES:
            change(node["params"])
    return replace(context, manifest=Manifest.from_dict(written))


def _with_token(params: dict[str, Any]) -> None:
    """Params with the token itself in place of its file."""
    if (path := params.pop("auth_token_file", None)) is not None:
        params["auth_token"] = Path(path).read_text(encoding="ascii").strip()


def _without_fallback(params: dict[str, Any]) -> None:
    params.pop("fallback", None)
    params.pop("failback", None)
