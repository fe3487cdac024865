"""What all variants of the data share: read-only mappings, checks, comparison by content."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NoReturn, TypeVar

import numpy as np

from rpe.errors import DataValidationError

__all__ = [
    "EMPTY",
    "FrozenDict",
    "Payload",
    "as_bytes",
    "as_labels",
    "as_stream_id",
    "assign",
    "canonical_encoding",
    "check_str",
    "check_uint",
    "encode_text",
    "freeze",
    "invalid",
    "readonly",
    "thaw",
]

K = TypeVar("K")
V = TypeVar("V")

# Sets a field of a frozen dataclass, in its own constructor only.
assign = object.__setattr__


class FrozenDict(dict[K, V]):
    """A dict that does not change: equal to a plain one, hashable where its values are.

    It is a dict and no proxy, so that json, pickle and copy take it as it is.
    """

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("this mapping is read-only; build a new one")

    __setitem__ = __delitem__ = _refuse
    update = setdefault = pop = popitem = clear = __ior__ = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type, tuple[dict[K, V]]]:
        return type(self), (dict(self),)

    def __copy__(self) -> FrozenDict[K, V]:
        return self

    def copy(self) -> dict[K, V]:
        """A plain dict of the same content, to change at will."""
        return dict(self)


EMPTY: FrozenDict[str, str] = FrozenDict()


def freeze(value: Any) -> Any:
    """The same JSON value with mappings and lists that do not change; anything else is left as it is."""
    if isinstance(value, Mapping):
        return FrozenDict({key: freeze(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in value)
    return value


def thaw(value: Any) -> Any:
    """The same JSON value in dicts and lists of its own, to change at will."""
    if isinstance(value, Mapping):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [thaw(item) for item in value]
    return value


def invalid(field: str, message: str) -> DataValidationError:
    """The error for a part of the data that is not what it should be."""
    return DataValidationError(message, field=field)


def check_uint(value: object, bits: int, field: str) -> None:
    """Raise unless `value` is an integer that fits into `bits` bits without a sign."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid(field, f"must be an integer, not {type(value).__name__}")
    if not 0 <= value < 1 << bits:
        raise invalid(field, f"must lie in 0..2**{bits}-1, not {value}")


def check_str(value: object, field: str) -> None:
    """Raise unless `value` is text that can travel as UTF-8."""
    if not isinstance(value, str):
        raise invalid(field, f"must be text, not {type(value).__name__}")
    if not value.isascii():
        encode_text(value, "utf-8", field)


def encode_text(value: str, encoding: str, field: str) -> bytes:
    """The text in `encoding`; raises where it cannot be carried in it and come back unchanged."""
    try:
        raw = value.encode(encoding)
        if encoding != "utf-8" and raw.decode(encoding) != value:
            raise invalid(field, f"does not survive the encoding {encoding}")
    except UnicodeError as error:
        raise invalid(field, f"cannot be written in {encoding}: {error}") from error
    return raw


def as_bytes(value: object, field: str) -> bytes:
    """`value` as bytes: itself where it is bytes, a copy of any other buffer."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    raise invalid(field, f"must be bytes, not {type(value).__name__}")


def as_labels(metadata: object, field: str) -> Mapping[str, str]:
    """A read-only copy of a mapping from text to text."""
    if not isinstance(metadata, Mapping):
        raise invalid(field, f"must be a mapping, not {type(metadata).__name__}")
    for key, value in metadata.items():
        check_str(key, field)
        check_str(value, f"{field}.{key}")
    return FrozenDict(metadata) if metadata else EMPTY


def as_stream_id(value: object, field: str) -> str | None:
    """The name of a stream; an empty one is none, since the wire does not tell them apart."""
    check_str(value, field)
    return str(value) or None


def readonly(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A view of the same memory through which it cannot be written."""
    if not array.flags.writeable:
        return array
    view = array.view()
    view.flags.writeable = False
    return view


class Payload:
    """The base of all variants of the data.

    Two payloads are equal when they are of one variant and all their fields are
    equal, arrays bit for bit. They have no hash; `content_hash` gives a digest.
    """

    __slots__ = ()
    kind: ClassVar[str] = ""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(_same(getattr(self, name), getattr(other, name)) for name in self._fields())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ((name, getattr(self, name)) for name in self._fields())
        inner = ", ".join(f"{name}={_brief(value)}" for name, value in shown if not _is_empty(value))
        return f"{type(self).__name__}({inner})"

    def _fields(self) -> Iterable[str]:
        return self.__slots__


def _same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return a == b


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str | dict) and not value)


def _brief(value: object, most: int = 60) -> str:
    if isinstance(value, np.ndarray):
        return f"<{'x'.join(map(str, value.shape)) or 'scalar'} {value.dtype}>"
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


_ENCODINGS = frozenset(
    ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "ascii"]
    + [f"iso8859-{part}" for part in (*range(1, 12), *range(13, 17))]
    + [f"cp{page}" for page in range(1250, 1259)]
    + ["koi8-r", "koi8-u", "gb2312", "gbk", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr"]
)


def canonical_encoding(name: object, field: str) -> str:
    """The one name of a character encoding.

    Only plain encodings of characters are known here: Python's registry also has
    transformations (unicode_escape, idna, punycode) that a peer must not choose for us.
    """
    check_str(name, field)
    try:
        canonical = codecs.lookup(str(name) or "utf-8").name
    except (LookupError, ValueError):
        canonical = ""
    if canonical not in _ENCODINGS:
        raise invalid(field, f"{str(name)[:40]!r} is not a character encoding known here")
    return canonical
