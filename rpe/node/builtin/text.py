"""Text transforms: one text in, one text out, everything else about it left as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rpe.data import Text
from rpe.node.contract import NodeCall, node
from rpe.node.params import Params, text

__all__ = ["LOWER_CASE", "REPLACE", "STRIP", "TEMPLATE", "UPPER_CASE"]

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


_PLACE = "{text}"


class _TemplateParams:
    """Reads a template, which must say where the text goes."""

    _params = Params(text("template"))

    def read(self, raw: Mapping[str, Any], where: str) -> tuple[Mapping[str, Any], list[str]]:
        values, problems = self._params.read(raw, where)
        if not problems and _PLACE not in values["template"]:
            problems = [f"{where}.template must hold {_PLACE}, where the text goes"]
        return values, problems


@node("Template", takes=_TEXT, gives=_TEXT)
def _template(data: Text, call: NodeCall) -> Text:
    return replace(data, text=call.params["template"].replace(_PLACE, data.text))


TEMPLATE = replace(_template, params=_TemplateParams())
"""Puts text into a `template` wherever it says `{text}`; other braces mean nothing."""
