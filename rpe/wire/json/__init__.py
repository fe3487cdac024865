"""The codec between RuntimeData and the JSON of the HTTP wire.

Every variant comes back as it was sent. What the contract has no field for travels in
labels (`rpe.wire.json.labels`); a reader that does not know about them sees plain data.
Samples and bytes go through NumPy (`rpe.wire.json.columns`), not through one Python
object for each number.
"""

from __future__ import annotations

from rpe.wire.json.messages import (
    decode_execute_request,
    decode_input,
    decode_output,
    decode_stream_request,
    decode_transport,
    encode_execute_request,
    encode_input,
    encode_output,
    encode_stream_request,
    encode_transport,
)
from rpe.wire.json.transport import Transport

__all__ = [
    "Transport",
    "decode_execute_request",
    "decode_input",
    "decode_output",
    "decode_stream_request",
    "decode_transport",
    "encode_execute_request",
    "encode_input",
    "encode_output",
    "encode_stream_request",
    "encode_transport",
]
