"""Translation by a table of words."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated

from pydantic import Field, field_validator

from rpe.data import RuntimeData
from rpe.fakes.nodes import NodeCall, NodeOutput
from rpe.fakes.pipelines.ready import Settings, ready
from rpe.fakes.pipelines.sound import taken_text

__all__ = ["TranslationSettings"]

_WORD = re.compile(r"\w+(?:['’]\w+)*")


class TranslationSettings(Settings):
    """What words become."""

    words: dict[Annotated[str, Field(min_length=1)], str] = Field(default_factory=dict)
    """The table; capitals do not matter in it, and those of the text are kept at the beginning of a word."""
    unknown: Annotated[str, Field(strict=True)] = "[{word}]"
    """What a word becomes that is not in the table."""
    language: str = ""
    """The language that the text is labelled with; that of the text stays where this is empty."""

    @field_validator("words")
    @classmethod
    def _fold(cls, words: dict[str, str]) -> dict[str, str]:
        folded = {word.casefold(): said for word, said in words.items()}
        if len(folded) != len(words):
            raise ValueError("a word is in the table twice, once with other capitals")
        return folded

    @field_validator("unknown")
    @classmethod
    def _has_the_word(cls, unknown: str) -> str:
        if "{word}" not in unknown:
            raise ValueError("must hold {word}, where the word goes")
        return unknown


@ready("translation", TranslationSettings)
def _translation(data: RuntimeData, call: NodeCall, settings: TranslationSettings) -> NodeOutput:
    """Translate word by word; what stands between the words stays as it is."""
    text = taken_text(data, call)

    def translated(match: re.Match[str]) -> str:
        word = match[0]
        said = settings.words.get(word.casefold())
        if said is None:
            return settings.unknown.replace("{word}", word)
        return said[:1].upper() + said[1:] if word[:1].isupper() else said

    return replace(text, text=_WORD.sub(translated, text.text), language=settings.language or text.language)
