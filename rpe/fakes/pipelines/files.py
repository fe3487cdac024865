"""Where the files of the ready-made pipelines lie: in the checkout, or inside the installed package."""

from __future__ import annotations

from pathlib import Path

import rpe
from rpe.errors import ConfigurationError

__all__ = ["BUILT_IN_PIPELINES", "built_in"]

BUILT_IN_PIPELINES = ("vad", "stt", "translate", "tts", "echo", "flaky")
"""The names of the ready-made pipelines."""


def built_in(name: str) -> Path:
    """Return the file of a ready-made pipeline.

    The checkout that the package is run from comes first, then `rpe/content` of an installed
    package. Raises ConfigurationError where there is no pipeline of that name.
    """
    if name not in BUILT_IN_PIPELINES:
        raise ConfigurationError(
            f"there is no ready-made pipeline {name!r}", hint=f"there are: {', '.join(BUILT_IN_PIPELINES)}"
        )
    package = Path(rpe.__file__).parent
    for folder in (package.parent, package / "content"):
        file = folder / "fakes" / "pipelines" / f"{name}.yaml"
        if file.is_file():
            return file
    raise ConfigurationError(f"the file of the pipeline {name!r} is missing", hint="install rpe again")
