"""Round trips of any data, and decoding of anything a peer may send, in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpe.data import Audio, RuntimeData, content_hash
from rpe.errors import DataValidationError, ManifestInvalid
from rpe.manifest.model import Manifest
from rpe.wire.json import (
    Transport,
    decode_execute_request,
    decode_input,
    decode_output,
    decode_stream_request,
    decode_transport,
    encode_execute_request,
    encode_input,
    encode_output,
    encode_transport,
)
from tests.wire.test_protobuf_properties import DATA, JSON_VALUES, U64

MANIFEST = Manifest.single("n", node_type="T", k=[1, {"a": None}])
DECODERS: list[Callable[[bytes | str], Any]] = [
    decode_transport,
    decode_output,
    decode_input,
    decode_execute_request,
    decode_stream_request,
]


def sendable(data: RuntimeData) -> bool:
    """Whether JSON can carry it, told without the codec."""
    if any(label.startswith("rpe-") for label in data.metadata):
        return False  # labels of that kind belong to the wire
    return not isinstance(data, Audio) or bool(np.isfinite(data.samples.astype(np.float64)).all())


@pytest.mark.parametrize("kind", DATA)
@settings(max_examples=80, deadline=None)
@given(choice=st.data())
def test_everything_comes_back_as_it_was_sent(kind: str, choice: st.DataObject) -> None:
    sent: RuntimeData = choice.draw(DATA[kind])
    sequence = choice.draw(st.none() | U64)
    if not sendable(sent):
        with pytest.raises(DataValidationError):
            encode_transport(sent)
        return
    payload = encode_transport(sent, sequence=sequence)
    as_others_write = json.dumps(json.loads(payload), ensure_ascii=False).encode("utf-8", "surrogatepass")
    for text in (payload, payload.decode()):
        back = decode_transport(text)
        assert back == (sent, sequence, sent.metadata)
        assert content_hash(back.data) == content_hash(sent)
    if b"\xed" not in as_others_write:  # a lone surrogate has no UTF-8
        assert decode_transport(as_others_write).data == sent
    assert decode_output(encode_output(sent)).data == sent
    assert decode_input(encode_input(sent)).data == sent
    assert decode_execute_request(encode_execute_request(MANIFEST, sent)) == (
        MANIFEST,
        Transport(sent, None, sent.metadata),
    )


def decode_or_refuse(payload: bytes | str) -> None:
    """What decodes is sound: it can be sent again, and is then the same. All else is one of two errors."""
    for decode in DECODERS:
        try:
            found = decode(payload)
        except DataValidationError as error:
            assert error.field
            continue
        except ManifestInvalid:
            continue
        transport = found[1] if decode is decode_execute_request else found
        if isinstance(transport, Transport):
            content_hash(transport.data)
            again = decode_transport(encode_transport(transport.data, sequence=transport.sequence))
            assert again.data == transport.data


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every owner and key in a JSON value."""
    found: list[tuple[Any, Any]] = []
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(pairs)[:40]:
        found += [(value, key), *places(item)]
    return found


ODD = st.one_of(
    JSON_VALUES,
    st.sampled_from([True, -1, 256, 2**32, 2**64, 10**400, 1e308, 0.5, "", "\ud800", "Raw", "\0"]),
    st.lists(st.integers(-1, 300) | st.booleans(), max_size=3),
    st.integers(1, 300).map(lambda levels: json.loads("[" * levels + "]" * levels)),
)


@settings(max_examples=400, deadline=None)
@given(data=st.one_of(list(DATA.values())).filter(sendable), choice=st.data())
def test_changed_values_give_a_value_or_the_one_error(data: RuntimeData, choice: st.DataObject) -> None:
    document = json.loads(encode_execute_request(MANIFEST, data))
    for _ in range(choice.draw(st.integers(1, 3))):
        if not (found := places(document)):
            break
        owner, key = choice.draw(st.sampled_from(found))
        how = choice.draw(st.sampled_from(["replace", "remove", "rename"]))
        if how == "replace" or isinstance(owner, list):
            owner[key] = choice.draw(ODD)
        elif how == "remove":
            owner.pop(key, None)
        else:
            owner[choice.draw(st.sampled_from(["x", "data", "Raw", "Text", "Audio"]))] = owner.pop(key, None)
    spacing = choice.draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    decode_or_refuse(json.dumps(document, separators=spacing))
    for part in ("input", "manifest"):
        decode_or_refuse(json.dumps({"data": document.get(part)}, separators=spacing))
        decode_or_refuse(json.dumps(document.get(part), separators=spacing))


@settings(max_examples=400, deadline=None)
@given(data=st.one_of(list(DATA.values())).filter(sendable), choice=st.data())
def test_damaged_bytes_give_a_value_or_the_one_error(data: RuntimeData, choice: st.DataObject) -> None:
    whole = encode_execute_request(MANIFEST, data) if choice.draw(st.booleans()) else encode_transport(data)
    wire = bytearray(whole)
    for _ in range(choice.draw(st.integers(1, 3))):
        place = choice.draw(st.integers(0, max(len(wire) - 1, 0)))
        how = choice.draw(st.sampled_from(["flip", "cut", "insert", "end"]))
        if how == "flip" and wire:
            wire[place] ^= choice.draw(st.integers(1, 255))
        elif how == "cut":
            del wire[place : place + choice.draw(st.integers(1, 4))]
        elif how == "end":
            del wire[place:]
        else:
            wire[place:place] = choice.draw(
                st.sampled_from([b"[", b"]", b"{", b",", b"-", b"9", b"e", b'"', b"\0"])
            )
    decode_or_refuse(bytes(wire))


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=40),
        st.text(max_size=40),
        JSON_VALUES.map(lambda value: json.dumps({"data": value, "output": value, "manifest": value})),
        st.dictionaries(st.sampled_from(["Audio", "Video", "Image", "Tensor", "Numpy", "File"]), JSON_VALUES)
        .map(lambda value: json.dumps({"data": value})),
        st.integers(100, 3000).map(lambda levels: '{"data":{"Json":' + "[" * levels + "]" * levels + "}}"),
        st.integers(100, 3000).map(lambda levels: '{"data":{"Tensor":{"dtype":' + '{"a":' * levels),
        st.integers(100, 3000).map(
            lambda levels: '{"data":{"Video":{"pixel_data":[],"width":0,"height":0,"format":'
            + "[" * levels + "]" * levels + "}}}"
        ),
    )
)  # fmt: skip
def test_anything_gives_a_value_or_the_one_error(payload: bytes | str) -> None:
    decode_or_refuse(payload)
