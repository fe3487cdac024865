"""Text as input: short sentences, each with a number, so that no two of a run are equal."""

from __future__ import annotations

from rpe.data import Text

__all__ = ["SENTENCES", "Texts"]

SENTENCES = (
    "he was not an ill disposed young man",
    "unless to be rather cold hearted and rather selfish is to be ill disposed",
    "had he married a more amiable woman he might have been made still more respectable than he was",
)
"""From Jane Austen's "Sense and Sensibility", chapter 1."""


class Texts:
    """An endless row of sentences, numbered from 0."""

    def piece(self, number: int) -> Text:
        """Return a sentence by its number."""
        return Text(f"{number}: {SENTENCES[number % len(SENTENCES)]}", language="en")
