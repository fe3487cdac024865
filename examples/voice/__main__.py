"""`python -m examples.voice [WAV...] [--out answer.wav] [--kill] [--json]`, run in the repository."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from examples.voice.organisations import ROOT
from examples.voice.run import Answers, Segment, run
from rpe.errors import RpeError

_SPEECH = ROOT / "fakes/media/speech"


def main() -> int:
    """Run the example. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.voice",
        description="Recordings are cut into segments of speech here; three organisations, with two servers "
        "each, recognise the words, answer them, and speak the answers.",
    )
    parser.add_argument("wav", nargs="*", type=Path, help="recordings; those of the repository by default")
    parser.add_argument("--out", type=Path, default=Path("answer.wav"), help="where the spoken answer goes")
    parser.add_argument(
        "--kill", action="store_true", help="kill one server of each organisation in the middle"
    )
    parser.add_argument("--json", action="store_true", help="tell everything as one JSON object at the end")
    given = parser.parse_args()
    try:
        answers = asyncio.run(
            run(
                given.wav or sorted(_SPEECH.glob("*.wav")),
                kill=given.kill,
                told=(lambda segment: None) if given.json else _tell,
            )
        )
        answers.audio().to_wav(given.out)
    except (RpeError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    if given.json:
        _say(json.dumps(_as_json(answers, given.out), indent=2))
    else:
        _summary(answers, given.out)
    return 0


def _tell(segment: Segment) -> None:
    _say(f"{segment.start_s:7.2f} s to {segment.end_s:.2f} s")
    _say(f"    heard     {segment.words}")
    _say(f"    answered  {segment.reply}  ({segment.speech.duration_s:.2f} s of speech)")


def _summary(answers: Answers, out: Path) -> None:
    _say(f"\n{'node':10}{'calls':>6}{'attempts':>10}{'p50 ms':>9}{'p95 ms':>9}  errors of attempts")
    for name, figures in _figures(answers).items():
        errors = ", ".join(f"{count} {kind}" for kind, count in sorted(figures["errors"].items())) or "none"
        _say(
            f"{name:10}{figures['calls']:6}{figures['attempts']:10}"
            f"{figures['p50_ms']:9.1f}{figures['p95_ms']:9.1f}  {errors}"
        )
    if answers.killed:
        _say(f"killed after the first answer: {', '.join(answers.killed)}")
    _say(f"{out}: {answers.audio().duration_s:.2f} s of speech, sha256 {_file_digest(out)}")


def _figures(answers: Answers) -> dict[str, dict[str, Any]]:
    """What the remote nodes did, by their ids."""
    figures: dict[str, dict[str, Any]] = {}
    for name, node in answers.metrics.items():
        if (remote := node.remote) is None:
            continue
        errors: dict[str, int] = {}
        for endpoint in remote.endpoints.values():
            for kind, count in endpoint.errors.items():
                errors[kind] = errors.get(kind, 0) + count
        figures[name] = {
            "calls": remote.calls,
            "successes": remote.successes,
            "attempts": remote.attempts,
            "p50_ms": (remote.latency_s(50) or 0.0) * 1000,
            "p95_ms": (remote.latency_s(95) or 0.0) * 1000,
            "errors": errors,
        }
    return figures


def _as_json(answers: Answers, out: Path) -> dict[str, Any]:
    return {
        "segments": [
            {
                "start_s": segment.start_s,
                "end_s": segment.end_s,
                "words": segment.words,
                "reply": segment.reply,
                "speech_s": segment.speech.duration_s,
            }
            for segment in answers.segments
        ],
        "nodes": _figures(answers),
        "killed": list(answers.killed),
        "out": str(out),
        "sha256": _file_digest(out),
    }


def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
