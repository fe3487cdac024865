"""A token from an environment variable."""

from __future__ import annotations

import os
from collections.abc import Mapping

from rpe.errors import ConfigurationError
from rpe.transport.credentials.source import check_token

__all__ = ["EnvironmentToken"]


class EnvironmentToken:
    """The value of an environment variable, read at each call: a program may change its own.

    Arguments:
        name: the variable.
        environment: where to look; the environment of this process by default.
    """

    __slots__ = ("_environment", "name")

    def __init__(self, name: str, environment: Mapping[str, str] | None = None) -> None:
        if not name or "=" in name or "\0" in name:
            raise ConfigurationError("the name of an environment variable is empty or holds = or NUL")
        self.name = name
        self._environment = os.environ if environment is None else environment

    async def token(self) -> str:
        """Return it. Raises ConfigurationError that names the variable where it holds no token."""
        return self._read()

    def refused(self, token: str) -> bool:
        """Say whether the variable now holds another token."""
        try:
            return self._read() != token
        except ConfigurationError:
            return False

    def _read(self) -> str:
        value = self._environment.get(self.name)
        if value is None:
            raise ConfigurationError(
                f"the environment variable {self.name} is not set", hint="set it to the token"
            )
        return check_token(value, f"the environment variable {self.name}")

    def __repr__(self) -> str:
        return f"EnvironmentToken({self.name!r})"
