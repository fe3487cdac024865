"""A token from a file that somebody else may renew at any time."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from rpe.errors import ConfigurationError
from rpe.transport.credentials.source import check_token

__all__ = ["FileToken"]

_LARGEST_BYTES = 64 * 1024

_Stamp = tuple[int, int, int, int]


class FileToken:
    """What a file holds, read again when the file has changed: another one put in its place counts too.

    Each call asks the file system for the file's stamp (device, inode, size, time of change),
    and reads only where that differs. Line ends at the end of the file are not part of the
    token. Write the new file beside the old one and rename it: a file that is caught half
    written is an error, or half a token.
    """

    __slots__ = ("_stamp", "_value", "path")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._stamp: _Stamp | None = None
        self._value = ""

    async def token(self) -> str:
        """Return it. Raises ConfigurationError that names the file where it holds no token."""
        try:
            stamp = _stamp(self.path.stat())
        except OSError as error:
            raise self._unreadable(error) from None
        except ValueError:
            raise ConfigurationError("the path of the token file holds NUL") from None
        return self._value if stamp == self._stamp else self._read()

    def refused(self, token: str) -> bool:
        """Read the file, whatever its stamp; say whether it now holds another token."""
        try:
            return self._read() != token
        except ConfigurationError:
            return False

    def _read(self) -> str:
        self._stamp = None
        try:
            # Without O_NONBLOCK the opening of a pipe would wait for whoever writes to it.
            file = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                found = os.fstat(file)
                if not stat.S_ISREG(found.st_mode):
                    raise self._wrong("is not a regular file")
                content = os.read(file, _LARGEST_BYTES + 1)
            finally:
                os.close(file)
        except OSError as error:
            raise self._unreadable(error) from None
        if len(content) > _LARGEST_BYTES:
            raise self._wrong(f"is larger than {_LARGEST_BYTES} bytes")
        text = content.rstrip(b"\r\n").decode("latin-1")
        self._value = check_token(text, f"the token file {self.path}")
        self._stamp = _stamp(found)
        return self._value

    def _unreadable(self, error: OSError) -> ConfigurationError:
        return self._wrong(f"cannot be read: {error.strerror or type(error).__name__}")

    def _wrong(self, what: str) -> ConfigurationError:
        return ConfigurationError(
            f"the token file {self.path} {what}",
            hint="put a file there that holds the token and nothing else",
        )

    def __repr__(self) -> str:
        return f"FileToken({str(self.path)!r})"


def _stamp(found: os.stat_result) -> _Stamp:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
