"""The names that both ends of this wire use beside the contract's own.

All of them travel in headers, in the metadata of a `TransportData`, or as further keys of
an error, where a server or client that does not know them passes them by.
"""

from __future__ import annotations

__all__ = [
    "CANCEL_KEY",
    "CLOSED_EVENT",
    "CONTEXT_FIELD",
    "ERROR_EVENT",
    "ERROR_TYPE_FIELD",
    "MORE_KEY",
    "NODE_FIELD",
    "NODE_KEY",
    "OUTPUT_KEY",
    "RETRY_AFTER_FIELD",
    "RETRY_AFTER_KEY",
    "SPEAKS",
    "STATUS_FIELD",
    "TIMEOUT_KEY",
    "TIMESTAMP_KEY",
    "WALL_TIME_KEY",
    "WIRE_KEY",
]

TIMEOUT_KEY = "rpe-timeout-ms"
"""Header: what is left of the caller's deadline when the request leaves, in milliseconds."""

RETRY_AFTER_KEY = "rpe-retry-after-ms"
"""Header: when to try again, in milliseconds, for `Retry-After` knows whole seconds only; -1 for never."""

CANCEL_KEY = "rpe-cancel"
"""Header of a DELETE: the caller has no use for what is still under way."""

WIRE_KEY = "rpe-wire"
"""Header of a GET of a session's output, and of its answer: this end speaks what this module names."""

SPEAKS = "v1"
"""What `WIRE_KEY` says. With it, a session's output ends with the event `closed` when all is well."""

NODE_KEY = "rpe-node-id"
"""Metadata of an input: the node that takes it, where that is not the manifest's first input node."""

TIMESTAMP_KEY = "rpe-timestamp-ms"
"""Metadata of an input of a session: the caller's own time of the chunk, in milliseconds."""

OUTPUT_KEY = "rpe-output"
"""Metadata of an output: its name, where that is not `output`."""

MORE_KEY = "rpe-more"
"""Metadata of an output of a session: the result goes on in the next event."""

WALL_TIME_KEY = "rpe-wall-time-ms"
"""Header of the answer to an execution: how long the pipeline took."""

ERROR_TYPE_FIELD = "rpe_error_type"
"""Key of an error: its finer kind, as the gRPC contract names them."""

NODE_FIELD = "node_id"
"""Key of an error: the node that failed."""

CONTEXT_FIELD = "context"
"""Key of an error: what a server says of it to programs, as JSON in a string."""

STATUS_FIELD = "rpe_http_status"
"""Key of an error event: the HTTP status that the error would have had outside of a stream."""

RETRY_AFTER_FIELD = "rpe_retry_after_ms"
"""Key of an error event: as `RETRY_AFTER_KEY`."""

ERROR_EVENT = "error"
"""The type of an event that carries an error, and ends its session."""

CLOSED_EVENT = "closed"
"""The type of the last event of a session that ends well (see `SPEAKS`)."""
