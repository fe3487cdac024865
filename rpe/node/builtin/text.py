"""Text transforms: one text in, one text out, everything else about it left as it was."""

from __future__ import annotations

from dataclasses import replace

from rpe.data import Text
from rpe.node.contract import NodeCall, node
from rpe.node.params import text

__all__ = ["LOWER_CASE", "REPLACE", "STRIP", "UPPER_CASE"]

_TEXT = ("text",)


@node("UpperCase", takes=_TEXT, gives=_TEXT)
def UPPER_CASE(data: Text, call: NodeCall) -> Text:  # noqa: N802  # a node type, which is a constant
    """Put text into capitals."""
    return replace(data, text=data.text.upper())


@node("LowerCase", takes=_TEXT, gives=_TEXT)
def LOWER_CASE(data: Text, call: NodeCall) -> Text:  # noqa: N802
    """Put text into small letters."""
    return replace(data, text=data.text.lower())


@node("Strip", text("chars", ""), takes=_TEXT, gives=_TEXT)
def STRIP(data: Text, call: NodeCall) -> Text:  # noqa: N802
    """Take the characters in `chars` off both ends; blanks of all kinds where it is empty."""
    return replace(data, text=data.text.strip(call.params["chars"] or None))


@node("Replace", text("find", least=1), text("replacement", ""), takes=_TEXT, gives=_TEXT)
def REPLACE(data: Text, call: NodeCall) -> Text:  # noqa: N802
    """Put `replacement` wherever `find` stands."""
    return replace(data, text=data.text.replace(call.params["find"], call.params["replacement"]))
