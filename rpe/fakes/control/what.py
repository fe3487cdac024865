"""What a name on the command line stands for: definitions of services, or a pipeline."""

from __future__ import annotations

from pathlib import Path

from rpe.errors import ConfigurationError
from rpe.lined_yaml import LinedYamlError, load_lined

__all__ = ["is_pipeline", "named_file"]


def named_file(what: str) -> Path:
    """Return the file or folder of that name, or the file of the ready-made pipeline of that name.

    Raises ConfigurationError where there is neither.
    """
    path = Path(what)
    if path.exists():
        return path
    from rpe.fakes.pipelines.files import BUILT_IN_PIPELINES, built_in

    if what in BUILT_IN_PIPELINES:
        return built_in(what)
    raise ConfigurationError(
        f"there is no {what}",
        hint="give a definition (`rpe fake generate` writes them), a folder of them, the file of a pipeline, "
        f"or one of the ready-made pipelines: {', '.join(BUILT_IN_PIPELINES)}",
    )


def is_pipeline(path: Path) -> bool:
    """Return whether a file is of a pipeline; what cannot be read is left to whoever reads it for good."""
    if path.is_dir():
        return False
    try:
        data = load_lined(path.read_text(encoding="utf-8")).data
    except (OSError, UnicodeDecodeError, LinedYamlError):
        return False
    return isinstance(data, dict) and "pipeline" in data
