from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from rpe.data import Audio

ROOT = Path(__file__).parents[2]
SPEECH = ROOT / "fakes/media/speech"
RECORDINGS = [SPEECH / f"sense-and-sensibility-{name}.wav" for name in ("0880", "0890", "0880")]


async def example(*arguments: object) -> tuple[int, str, str]:
    """Run the example as its users do: exit code, what it says, its complaints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "examples.voice", *map(str, arguments)),
        cwd=ROOT,
        env=os.environ
        | {"GRPC_VERBOSITY": "NONE"},  # its core has something to say of servers that are killed
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(90):
            said, complained = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, said.decode(), complained.decode()


async def test_killing_a_server_of_each_organisation_changes_no_word_and_no_sample(tmp_path: Path) -> None:
    async def answers(name: str, *more: str) -> tuple[dict[str, Any], bytes]:
        out = tmp_path / f"{name}.wav"
        code, said, complained = await example(*RECORDINGS, "--out", out, "--json", *more)
        assert (code, complained) == (0, "")
        return json.loads(said), out.read_bytes()

    (calm, calm_wav), (stormy, stormy_wav) = await asyncio.gather(
        answers("calm"), answers("stormy", "--kill")
    )

    assert calm["segments"] == stormy["segments"]
    assert calm_wav == stormy_wav
    first, second, third = calm["segments"]
    assert "rather cold hearted" in second["words"]
    assert "young man" in first["words"]
    assert "young man" in third["words"]
    assert [item["reply"] for item in calm["segments"]] == [
        f"You said: {item['words']}." for item in calm["segments"]
    ]
    assert 0 < first["start_s"] < first["end_s"] < 4.0 < second["start_s"]
    audio = Audio.from_wav(tmp_path / "calm.wav")
    assert audio.duration_s == pytest.approx(
        sum(item["speech_s"] for item in calm["segments"]) + 2 * 0.4, abs=0.01
    )

    assert calm["killed"] == []
    assert stormy["killed"] == ["A-1", "B-1", "C-1"]
    for run in (calm, stormy):
        assert set(run["nodes"]) == {"words", "reply", "speech"}
        for figures in run["nodes"].values():
            assert figures["calls"] == figures["successes"] == 3
    assert all(figures["errors"] == {} for figures in calm["nodes"].values())
    # Whether a call met a dead server, or the client had noticed before, is a matter of moments.


async def test_a_file_that_is_no_recording(tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_text("not a recording")
    code, said, complained = await example(bad, "--out", tmp_path / "x.wav")
    assert (code, said) == (1, "")
    assert "bad.wav is no WAV file" in complained
    assert "Traceback" not in complained
    code, _, complained = await example(tmp_path / "missing.wav")
    assert code == 1
    assert "missing.wav" in complained
