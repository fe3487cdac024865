from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from rpe.data import BatchHint, Binary, CancelSpeculation, Control, DeadlineWarning, File, Json, Text
from rpe.errors import DataValidationError


def test_defaults_are_those_of_the_wire() -> None:
    text = Text("a")
    assert (text.encoding, text.language, text.channel) == ("utf-8", "", "tts")
    assert Text("a", channel="") == text
    assert Text("a", encoding="UTF8") == text
    assert Text("a", encoding="") == text


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Text(b"a"), "text.text_data"),  # type: ignore[arg-type]
        (lambda: Text("\ud800"), "text.text_data"),
        (lambda: Text("ü", encoding="ascii"), "text.text_data"),
        (lambda: Text("¥", encoding="shift_jis"), "text.text_data"),
        (lambda: Text("a", encoding="rot13"), "text.encoding"),
        (lambda: Text("a", language=5), "text.language"),  # type: ignore[arg-type]
        (lambda: Text("a", channel=None), "text.channel"),  # type: ignore[arg-type]
        (lambda: Json({"a": float("nan")}), "json.value.a"),
        (lambda: Json(1, schema_type=5), "json.schema_type"),  # type: ignore[arg-type]
        (lambda: Json.from_text("{"), "json.json_payload"),
        (lambda: Binary("text"), "binary.data"),  # type: ignore[arg-type]
        (lambda: Binary(b"", 5), "binary.mime_type"),  # type: ignore[arg-type]
        (lambda: File(5), "file.path"),  # type: ignore[arg-type]
        (lambda: File("a", size=-1), "file.size"),
        (lambda: File("a", offset=1 << 64), "file.offset"),
        (lambda: File("a", length=True), "file.length"),
        (lambda: File("a", stream_id=5), "file.stream_id"),  # type: ignore[arg-type]
        (lambda: Control("cancel"), "control.message_type"),  # type: ignore[arg-type]
        (lambda: Control(BatchHint(1), segment_id=None), "control.segment_id"),  # type: ignore[arg-type]
        (lambda: Control(BatchHint(1), timestamp_ms=-1), "control.timestamp_ms"),
        (lambda: Control(BatchHint(1), annotations=...), "control.annotations"),
        (lambda: BatchHint(1 << 32), "control.batch_hint.suggested_batch_size"),
        (lambda: CancelSpeculation(-1, 0), "control.cancel_speculation.from_timestamp"),
        (lambda: DeadlineWarning(1 << 64), "control.deadline_warning.deadline_us"),
    ],
)
def test_what_is_wrong_is_named(make: Any, field: str) -> None:
    with pytest.raises(DataValidationError) as caught:
        make()
    assert caught.value.field == field


@pytest.mark.parametrize(
    "data", [Text("a"), Json({}), Binary(b""), File("a"), Control(BatchHint(1))], ids=lambda data: data.kind
)
def test_no_field_can_be_set(data: Any) -> None:
    for field in dataclasses.fields(data):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(data, field.name, None)
    with pytest.raises((AttributeError, TypeError)):
        data.another = 1


def test_json_goes_to_text_and_back() -> None:
    data = Json({"ü": [1, 2.5, None, True]}, "plan")
    assert data.to_text() == '{"\\u00fc":[1,2.5,null,true]}'
    assert Json.from_text(data.to_text(), "plan") == data
