"""The fakes beside bare servers: what one costs a test, how soon one serves, and what its answers cost."""

from __future__ import annotations

from benchmarks import fakes_calls, fakes_fixture, fakes_start
from benchmarks.harness import Row

__all__ = ["run"]


def run() -> list[Row]:
    return [*fakes_fixture.run(), *fakes_start.run(), *fakes_calls.run()]


if __name__ == "__main__":
    from benchmarks.harness import table

    print(table(run()))
