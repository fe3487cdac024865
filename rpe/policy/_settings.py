"""How settings of policies check themselves: each error names the setting, what it is and what it must be."""

from __future__ import annotations

import math

from rpe.errors import ConfigurationError

__all__ = ["check_flag", "check_number", "check_relation", "check_whole"]


def check_number(
    setting: str, value: object, *, least: float = 0.0, most: float = math.inf, above: float | None = None
) -> None:
    """Check that `value` is a finite number from `least` to `most`, and greater than `above` if given.

    Raises:
        ConfigurationError: it is not; the text names `setting`.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigurationError(f"{setting} must be a finite number, not {value!r}")
    if above is not None and value <= above:
        raise ConfigurationError(f"{setting} must be above {above:g}, not {value!r}")
    if not least <= value <= most:
        limit = f"from {least:g} to {most:g}" if most < math.inf else f"{least:g} or more"
        raise ConfigurationError(f"{setting} must be {limit}, not {value!r}")


def check_whole(setting: str, value: object, *, least: int = 0) -> None:
    """Check that `value` is a whole number of at least `least`.

    Raises:
        ConfigurationError: it is not; the text names `setting`.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigurationError(f"{setting} must be a whole number of {least} or more, not {value!r}")


def check_flag(setting: str, value: object) -> None:
    """Check that `value` is True or False.

    Raises:
        ConfigurationError: it is not; the text names `setting`.
    """
    if not isinstance(value, bool):
        raise ConfigurationError(f"{setting} must be true or false, not {value!r}")


def check_relation(holds: bool, setting: str, rule: str) -> None:
    """Check that `setting` keeps a rule that concerns other settings too, such as "at least initial_s".

    Raises:
        ConfigurationError: `holds` is false.
    """
    if not holds:
        raise ConfigurationError(f"{setting} must be {rule}")
