"""rpe: remote pipeline execution that survives its servers, and the toolkit that proves it.

    async with rpe.connect(["10.0.0.1:50051", "10.0.0.2:50051"]) as client:
        result = await client.execute(rpe.Manifest.single("stt", node_type="SpeechToText"), audio)

Names are imported at first use, so that `import rpe` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rpe.client import (
        ClientSettings,
        MovingSession,
        ReliableClient,
        ReliableSession,
        StreamSession,
        SyncClient,
        connect,
        connect_sync,
    )
    from rpe.data import Audio, Binary, Control, File, Image, Json, Numpy, RuntimeData, Tensor, Text, Video
    from rpe.manifest.model import Manifest
    from rpe.node import PipelineRunner
    from rpe.transport.credentials import (
        EnvironmentToken,
        FetchedToken,
        FileToken,
        FixedToken,
        Token,
        TokenSource,
    )

__version__ = "0.1.0"

__all__ = [
    "Audio",
    "Binary",
    "ClientSettings",
    "Control",
    "EnvironmentToken",
    "FetchedToken",
    "File",
    "FileToken",
    "FixedToken",
    "Image",
    "Json",
    "Manifest",
    "MovingSession",
    "Numpy",
    "PipelineRunner",
    "ReliableClient",
    "ReliableSession",
    "RuntimeData",
    "StreamSession",
    "SyncClient",
    "Tensor",
    "Text",
    "Token",
    "TokenSource",
    "Video",
    "__version__",
    "connect",
    "connect_sync",
]

_CLIENT = (
    "ClientSettings",
    "MovingSession",
    "ReliableClient",
    "ReliableSession",
    "StreamSession",
    "SyncClient",
    "connect",
    "connect_sync",
)
_TOKENS = ("EnvironmentToken", "FetchedToken", "FileToken", "FixedToken", "Token", "TokenSource")
_SOURCES = (
    dict.fromkeys(_CLIENT, "rpe.client")
    | dict.fromkeys(_TOKENS, "rpe.transport.credentials")
    | {
        "Manifest": "rpe.manifest.model",
        "PipelineRunner": "rpe.node",
    }
)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'rpe' has no attribute {name!r}")
    source = _SOURCES.get(name, "rpe.data")
    value = globals()[name] = getattr(import_module(source), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
