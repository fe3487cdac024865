"""Recordings to captions, by a pool of servers that recognise speech."""

from __future__ import annotations

from collections.abc import Sequence

import rpe

from captions.glossary import Glossary

__all__ = ["Captioner"]

TRANSCRIBE = rpe.Manifest.single("captions", node_type="Transcribe")


class Captioner:
    """Writes captions. Used as an async context.

    A server that fails is left for the next one: recognising a recording twice does no harm.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        transport: str = "grpc",
        glossary: Glossary | None = None,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._client = rpe.connect(list(endpoints), transport=transport)
        self._glossary = glossary
        self._metadata = list(metadata)

    async def caption(self, recording: rpe.Audio) -> str:
        """Return the words of a recording. Raises rpe.errors.RpeError where no server could say them."""
        result = await self._client.execute(
            TRANSCRIBE, recording, timeout_s=5, repeatable=True, metadata=self._metadata
        )
        heard = result.output
        assert isinstance(heard, rpe.Text)
        words = heard.text.split()
        if self._glossary is not None:
            words = [await self._glossary.spelling(word) for word in words]
        return " ".join(words)

    async def __aenter__(self) -> Captioner:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.close()
