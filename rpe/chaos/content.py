"""Where scenarios and recordings lie: in the checkout, or inside the installed package."""

from __future__ import annotations

from pathlib import Path

import rpe
from rpe.errors import ConfigurationError

__all__ = ["content_path"]


def content_path(*parts: str) -> Path:
    """Return the path of a piece of content, such as ("fakes", "media", "speech").

    The checkout that the package is run from comes first, then `rpe/content` of an
    installed package. Raises ConfigurationError where neither has it.
    """
    package = Path(rpe.__file__).parent
    candidates = (package.parent.joinpath(*parts), package.joinpath("content", *parts))
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise ConfigurationError(
        f"the content {'/'.join(parts)} is missing",
        hint=f"looked at {' and '.join(str(candidate) for candidate in candidates)}; install rpe again",
    )
