"""`python -m rpe.loadtest.child PARENT ARGUMENTS...`: a Locust that does not outlive who started it.

PARENT is the number of the process that did. On Linux the system kills this one with it; Locust's
own engine then ends by itself.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent, and become Locust."""
    parent = int(sys.argv.pop(1))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(3)  # it was gone before it could be seen
    runpy.run_module("locust", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
