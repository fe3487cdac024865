"""Random generators derived by name from one root seed, so that no draw shifts another's.

A run has one root seed. Each part that needs chance (a fault, a workload) derives a
generator of its own from it by name: adding a fault to a scenario leaves the draws of
all others as they were.
"""

from __future__ import annotations

import hashlib
from random import Random

__all__ = ["derive", "derive_seed"]


def derive_seed(seed: int, *names: str) -> int:
    """Return the seed that belongs to `names` under the root seed: the same in every process.

    Each part is hashed with its length, so that ("ab", "c") and ("a", "bc") differ.
    Python's own `hash` is not used, because it is salted per process.
    """
    digest = hashlib.sha256(f"rpe:{seed}".encode())
    for name in names:
        encoded = name.encode()
        digest.update(f":{len(encoded)}:".encode())
        digest.update(encoded)
    return int.from_bytes(digest.digest()[:8], "big")


def derive(seed: int, *names: str) -> Random:
    """Return a generator for `names` under the root seed (see `derive_seed`)."""
    return Random(derive_seed(seed, *names))
