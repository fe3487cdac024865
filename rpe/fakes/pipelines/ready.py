"""Node functions that are ready to be used in a definition, by name and with settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from rpe.data import RuntimeData
from rpe.fakes.nodes import NodeCall, NodeFunction, NodeOutput
from rpe.transport.serving import ErrorType

__all__ = ["IN_SESSION", "READY", "Settings", "bind", "ready"]

IN_SESSION: ContextVar[bool] = ContextVar("rpe_fakes_in_session", default=False)
"""Whether the node that runs here belongs to a session, where a chunk may have several results.

The answer to a unary call is one piece of data on HTTP, so a ready-made node gives one there on every wire.
"""


class Settings(BaseModel):
    """What a ready-made node can be told."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )


_S = TypeVar("_S", bound=Settings)
_Work = Callable[[RuntimeData, NodeCall, Any], NodeOutput]

READY: dict[str, tuple[type[Settings], _Work]] = {}
"""The ready-made functions by name, each with the model of its settings."""


def ready(
    name: str, settings: type[_S]
) -> Callable[
    [Callable[[RuntimeData, NodeCall, _S], NodeOutput]], Callable[[RuntimeData, NodeCall, _S], NodeOutput]
]:
    """Register a function of the data, the call and its settings as ready-made, under that name."""

    def register(
        work: Callable[[RuntimeData, NodeCall, _S], NodeOutput],
    ) -> Callable[[RuntimeData, NodeCall, _S], NodeOutput]:
        READY[name] = (settings, work)
        return work

    return register


def bind(name: str, given: Mapping[str, Any]) -> NodeFunction:
    """Return the ready-made function of that name as a node with these settings.

    The `params` of a manifest's node go before the settings, where they have the same names; its other
    params are left alone, as each server has some of its own. Raises pydantic's ValidationError for
    settings that cannot be, KeyError for an unknown name.
    """
    model, work = READY[name]
    settings = model.model_validate(dict(given))

    def run(data: RuntimeData, call: NodeCall) -> NodeOutput:
        mine = settings
        if brought := {key: value for key, value in call.params.items() if key in model.model_fields}:
            try:
                mine = model.model_validate({**settings.model_dump(exclude_unset=True), **brought})
            except ValidationError as error:
                found = error.errors(include_url=False, include_input=False)
                told = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found)
                raise call.failed(told, ErrorType.VALIDATION) from error
        return work(data, call, mine)

    run.__name__ = name
    return run
