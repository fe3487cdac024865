"""What a server says of a failure that lies behind it: the context that travels with the error of a pipeline.

The contract leaves the context of an error to whoever fills it. Here it is a JSON object with
one key of our own, so that what strangers write there is passed by.
"""

from __future__ import annotations

import json
import re
from typing import Any

from rpe.errors import Downstream, ErrorKind, redact

__all__ = ["LARGEST_CONTEXT", "clean", "read_context", "write_context"]

LARGEST_CONTEXT = 4096
"""How many characters of a context are read at most."""

_KEY = "rpe_downstream"
_LONGEST_TEXT = 200
_FARTHEST = 1000
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_KINDS = {kind.value: kind for kind in ErrorKind}
_USER = re.compile(r"(?<=//)[^/@\s]*@")


def write_context(downstream: Downstream) -> str:
    """Return the context of an error that is to say this; without credentials."""
    form = {
        "kind": downstream.kind.value,
        "code": downstream.code,
        "hop": downstream.hop,
        "node": clean(downstream.node),
        "endpoint": clean(downstream.endpoint),
        "retryable": downstream.retryable,
        "maybe_executed": downstream.maybe_executed,
    }
    return json.dumps({_KEY: form}, separators=(",", ":"))


def read_context(context: str) -> Downstream | None:
    """Read what a server wrote, which may be anything; None where it is not ours, or not whole."""
    if _KEY not in context or len(context) > LARGEST_CONTEXT:
        return None
    try:
        form = json.loads(context)
    except (ValueError, RecursionError):
        return None
    said = form.get(_KEY) if isinstance(form, dict) else None
    if not isinstance(said, dict):
        return None
    kind, code, hop = _KINDS.get(_text(said.get("kind")) or ""), said.get("code"), said.get("hop")
    retryable, maybe_executed = said.get("retryable"), said.get("maybe_executed")
    if kind is None or not isinstance(code, str) or not _CODE.fullmatch(code):
        return None
    if type(hop) is not int or not 1 <= hop <= _FARTHEST:
        return None
    if type(retryable) is not bool or type(maybe_executed) is not bool:
        return None
    node, endpoint = clean(_text(said.get("node"))), clean(_text(said.get("endpoint")))
    return Downstream(kind, code, hop, node, endpoint, retryable, maybe_executed)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def clean(text: str | None) -> str | None:
    """A name that can stand in an error: no credentials, no control characters, and not too long."""
    if text is None:
        return None
    shown = redact(_USER.sub("", text))
    return "".join(sign if sign.isprintable() else "?" for sign in shown[:_LONGEST_TEXT])
