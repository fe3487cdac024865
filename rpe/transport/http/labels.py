"""The labels of this wire, which travel among those of the data and are not the data's own."""

from __future__ import annotations

from dataclasses import replace

from rpe.data import RuntimeData
from rpe.errors import DataValidationError
from rpe.transport.http.keys import MORE_KEY, NODE_KEY, OUTPUT_KEY, TIMESTAMP_KEY
from rpe.wire.json import Transport

__all__ = ["check_labels", "own_data"]

_OURS = frozenset([MORE_KEY, NODE_KEY, OUTPUT_KEY, TIMESTAMP_KEY])


def own_data(transport: Transport) -> RuntimeData:
    """Return the data of a message as it was given, without the labels of the wire."""
    data = transport.data
    if _OURS.isdisjoint(data.metadata):
        return data
    return replace(data, metadata={key: text for key, text in data.metadata.items() if key not in _OURS})


def check_labels(data: RuntimeData) -> None:
    """Raise DataValidationError where data has a label of its own that the other end would take for ours."""
    if data.metadata and (taken := _OURS.intersection(data.metadata)):
        raise DataValidationError(
            f"{', '.join(sorted(taken))}: such labels are set by the transport", field="metadata"
        )
