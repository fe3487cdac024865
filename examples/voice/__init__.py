"""A voice pipeline across organisations: speech is cut up here, and heard, answered and spoken elsewhere."""

from __future__ import annotations
