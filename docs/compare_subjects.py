"""Run every scenario with each client in the box, and write the verdicts into docs/subjects.md.

    python docs/compare_subjects.py [SEED]          takes about ten minutes

Each client's runs stay in runs/subjects/NAME; what lies there already is run again.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from rpe.report.compare import compare_folders

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "subjects.md"
SUBJECTS = {"rpe": "", "grpc-native": "transport=grpc", "bare": ""}
"""The clients in the box, and the cells that each can be run with."""
MEASURED = re.compile(r"(<!-- measured -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> int:
    """Run, compare, write. Exits with 2 where a client could not be run at all."""
    seed = sys.argv[1] if len(sys.argv) > 1 else "11"
    roots = {name: ROOT / "runs" / "subjects" / name for name in SUBJECTS}
    for name, root in roots.items():
        shutil.rmtree(root, ignore_errors=True)
        options = ["--client", name, "--seed", seed, "--out", str(root)]
        if cells := SUBJECTS[name]:
            options += ["--filter", cells]
        done = subprocess.run(
            [sys.executable, "-c", "from rpe.cli import main; main()", "run", "scenarios", *options], cwd=ROOT
        )
        if done.returncode == 2:
            return 2
    write(compare_folders(roots), seed)
    return 0


def write(table: str, seed: str) -> None:
    """Put the table into the page."""
    told = f"As measured on {datetime.now(UTC):%Y-%m-%d}, with seed {seed}:\n\n{table}"
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(MEASURED.sub(lambda found: f"{found[1]}{told}{found[2]}", page), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
