"""The messages around the data: requests with their manifest, outputs and inputs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from rpe.data import Audio, Json, RuntimeData, Text
from rpe.errors import DataValidationError, ManifestInvalid
from rpe.manifest.model import Manifest
from rpe.wire.json import (
    Transport,
    decode_execute_request,
    decode_input,
    decode_output,
    decode_stream_request,
    encode_execute_request,
    encode_input,
    encode_output,
    encode_stream_request,
)

MANIFEST = Manifest.single("asr", node_type="Whisper", model="größte", extra={"input": {"data": 1}})
SPEECH = Audio(np.linspace(-1, 1, 320, dtype=np.float32), 16_000)


@pytest.mark.parametrize("data", [Text("a"), SPEECH, Json({"input": [1], "manifest": {}})])
def test_messages_hold_what_the_contract_says(data: RuntimeData) -> None:
    transport = json.loads(encode_output(data, sequence=3, metadata={"k": "v"}))["output"]
    assert set(transport) == {"data", "sequence", "metadata"}
    request = json.loads(encode_execute_request(MANIFEST, data, sequence=3, metadata={"k": "v"}))
    assert request == {"manifest": MANIFEST.to_dict(), "input": transport}
    assert json.loads(encode_input(data, sequence=3, metadata={"k": "v"})) == {"data": transport}
    assert json.loads(encode_stream_request(MANIFEST)) == {"manifest": MANIFEST.to_dict()}


@pytest.mark.parametrize("data", [Text("a"), SPEECH, Json({"input": [1], "manifest": {}})])
def test_messages_come_back(data: RuntimeData) -> None:
    whole = Transport(data, 3, {})
    assert decode_output(encode_output(data, sequence=3)) == whole
    assert decode_input(encode_input(data, sequence=3).decode()) == whole
    assert decode_stream_request(encode_stream_request(MANIFEST)) == MANIFEST
    request = encode_execute_request(MANIFEST, data, sequence=3)
    assert decode_execute_request(request) == (MANIFEST, whole)
    assert decode_execute_request(request.decode()) == (MANIFEST, whole)


def test_a_request_is_read_in_any_order_and_spacing() -> None:
    body = json.loads(encode_execute_request(MANIFEST, SPEECH))
    for form in (body, {"input": body["input"], "manifest": body["manifest"]}, {**body, "more": [{}]}):
        for indent in (None, 1):
            manifest, transport = decode_execute_request(json.dumps(form, indent=indent))
            assert (manifest, transport.data) == (MANIFEST, SPEECH)
    text = encode_execute_request(MANIFEST, SPEECH)
    assert decode_execute_request(b" " + text + b"\n")[1].data == SPEECH


def test_the_text_of_a_manifest_is_made_once_and_read_once() -> None:
    one = decode_execute_request(encode_execute_request(MANIFEST, Text("a")))[0]
    assert decode_execute_request(encode_execute_request(MANIFEST, Text("b")))[0] is one
    made: list[Any] = []
    MANIFEST.form("http", lambda manifest: made.append(manifest))
    assert made == []


def test_a_manifest_that_holds_what_looks_like_an_input_is_no_trap() -> None:
    inner = json.loads(encode_execute_request(MANIFEST, SPEECH))
    tricky = Manifest.single(
        "t", node_type="T", a=[inner, {"manifest": 1, "input": {"data": {"Text": "no"}}}]
    )
    text = encode_execute_request(tricky, Text("yes"))
    manifest, transport = decode_execute_request(text)
    assert (manifest, transport.data) == (tricky, Text("yes"))
    # in whatever order its keys come
    form = {"input": {"data": {"Text": "yes"}}, "manifest": tricky.to_dict()}
    assert decode_execute_request(json.dumps(form))[1].data == Text("yes")


def test_a_list_stays_where_it_was_found() -> None:
    """Of a key that comes twice the last one counts, also where the first had the long list."""
    columns = b"[ 1.00000000e+00]"
    audio = b'{"samples":%s,"sample_rate":1,"channels":1,"samples":[0.5]}' % columns
    read = decode_output(b'{"output":{"data":{"Audio":%s}}}' % audio).data
    assert isinstance(read, Audio) and read.samples.tolist() == [0.5]
    twice = b'{"output":{"data":{"Audio":{"samples":%s}},"data":{"Text":"a"}}}' % columns
    assert decode_output(twice).data == Text("a")
    gone = b'{"output":{"data":{"Audio":{"samples":%s}}},"output":5}' % columns
    with pytest.raises(DataValidationError, match="output: must be an object"):
        decode_output(gone)


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        ({}, "has no manifest"),
        ({"manifest": None}, "must be an object"),
        ({"manifest": []}, "must be an object"),
        ({"manifest": {"version": "v2", "nodes": []}}, "version"),
        ({"manifest": {"version": "v1", "nodes": [{"id": "", "node_type": 5}]}}, "node_type"),
        ({"manifest": {"version": "v1", "nodes": [], "x": json.loads("[" * 200 + "]" * 200)}}, "deeper"),
    ],
)
def test_a_wrong_manifest_is_told_as_such(payload: dict[str, Any], problem: str) -> None:
    for form in (payload, {**payload, "input": {"data": {"Text": "a"}}}):
        for spacing in ((",", ":"), (", ", ": ")):
            text = json.dumps(form, separators=spacing)
            with pytest.raises(ManifestInvalid, match=problem):
                decode_execute_request(text)
            with pytest.raises(ManifestInvalid, match=problem):
                decode_stream_request(text)


GOOD = MANIFEST.to_json()
BAD_AUDIO = '{"data":{"Audio":{"samples":["0"],"sample_rate":1,"channels":1}}}'


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (f'{{"manifest":{GOOD}}}', "input"),
        (f'{{"manifest":{GOOD},"input":5}}', "input"),
        (f'{{"manifest":{GOOD},"input":{{}}}}', "input.data"),
        (f'{{"manifest":{GOOD},"input":{BAD_AUDIO}}}', "input.data.Audio.samples"),
        (f'{{"input":{BAD_AUDIO},"manifest":{GOOD}}}', "input.data.Audio.samples"),
        (f'{{"manifest":{GOOD},"input":{BAD_AUDIO}', "payload"),
        (f'{{"manifest":{GOOD},"input":{BAD_AUDIO}}}}}', "payload"),
        (f'{{"manifest":{GOOD},"input":{BAD_AUDIO},"more":]}}', "payload"),
        ("[]", "payload"),
        ("{", "payload"),
        ("\ud800", "payload"),
    ],
)
def test_a_wrong_request_is_told_by_its_field(payload: str, field: str) -> None:
    with pytest.raises(DataValidationError) as caught:
        decode_execute_request(payload)
    assert caught.value.field == field


@pytest.mark.parametrize(("decode", "name"), [(decode_output, "output"), (decode_input, "data")])
def test_outputs_and_inputs_name_their_fields(decode: Any, name: str) -> None:
    with pytest.raises(DataValidationError) as caught:
        decode("{}")
    assert caught.value.field == name
    for value, field in (
        (BAD_AUDIO, f"{name}.data.Audio.samples"),
        ("5", name),
        ('{"data":{}}', f"{name}.data"),
    ):
        with pytest.raises(DataValidationError) as caught:
            decode(f'{{"{name}":{value}}}')
        assert caught.value.field == field
    with pytest.raises(DataValidationError, match="payload: must be an object"):
        decode("5")


def test_the_codec_needs_no_other_wire() -> None:
    import subprocess
    import sys

    heavy = ["grpc", "google.protobuf", "aiohttp", "pydantic"]
    code = f"import sys, rpe.wire.json; print(*[name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
