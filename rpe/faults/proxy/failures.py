"""What the API answers when it cannot do as asked."""

from __future__ import annotations

__all__ = ["ApiError"]


class ApiError(Exception):
    """A request that fails with an HTTP status and a message, in Toxiproxy's words where it has some."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
