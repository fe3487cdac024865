"""Files that are followed: each change is read once, and what is wrong leaves everything as it was."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

import pytest

from rpe.clock import SystemClock
from rpe.errors import ConfigurationError
from rpe.fakes.control.reloading import follow_files, follow_until, hang_ups
from rpe.fakes.control.rewriting import definition_files, read_forms, source_files
from rpe.fakes.control.what import is_pipeline, named_file


class Hasty(SystemClock):
    """A clock on which half a second is over in a few milliseconds."""

    def deadline(self, when_s: float | None) -> AbstractAsyncContextManager[object]:
        return asyncio.timeout(0.003)


class Follower:
    """Follows a file in the background, and keeps what was told."""

    def __init__(self, file: Path, *, watch: bool = True) -> None:
        self.told: list[str] = []
        self.asked = asyncio.Event()
        self._news = asyncio.Event()
        self._file = file
        self._task = asyncio.create_task(
            follow_files(
                lambda: [file],
                self._reload,
                asked=self.asked,
                watch=watch,
                clock=Hasty(),
                tell=self._tell,
            )
        )

    async def _reload(self) -> str:
        text = self._file.read_text(encoding="utf-8")
        if "wrong" in text:
            raise ConfigurationError(f"{text} in line 1")
        return f"read {text}"

    async def wait_for(self, count: int) -> list[str]:
        async with asyncio.timeout(5):
            while len(self.told) < count:
                self._news.clear()
                await self._news.wait()
        await asyncio.sleep(0.02)  # time for what is told too often
        return self.told

    def _tell(self, line: str) -> None:
        self.told.append(line)
        self._news.set()

    async def stop(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


def write(file: Path, text: str) -> None:
    """Write a file and give it a time of its own: two changes may come in one tick of the clock."""
    before = file.stat().st_mtime_ns if file.exists() else 0
    file.write_text(text, encoding="utf-8")
    os.utime(file, ns=(before + 1_000_000, before + 1_000_000))


async def test_each_change_is_read_once_and_what_is_wrong_is_told_once(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    write(file, "one")
    follower = Follower(file)
    await asyncio.sleep(0.02)
    write(file, "two")
    assert await follower.wait_for(1) == ["rpe fake: read two\n"]
    write(file, "wrong")
    told = await follower.wait_for(2)
    assert "stays as it is" in told[1] and "wrong in line 1" in told[1]
    assert len(told) == 2
    file.unlink()
    assert "No such file" in (await follower.wait_for(3))[2]
    write(file, "three")
    assert (await follower.wait_for(4))[3] == "rpe fake: read three\n"
    await follower.stop()


async def test_without_watching_it_is_read_when_it_is_asked_for_only(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    write(file, "one")
    follower = Follower(file, watch=False)
    await asyncio.sleep(0)
    write(file, "two")
    await asyncio.sleep(0.02)
    assert follower.told == []
    follower.asked.set()
    assert await follower.wait_for(1) == ["rpe fake: read two\n"]
    await follower.stop()


async def test_a_hang_up_asks_for_it_and_following_ends_with_the_process() -> None:
    ending = asyncio.Event()
    with hang_ups() as asked:
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(5):
            await asked.wait()

    async def never() -> None:
        await asyncio.get_running_loop().create_future()

    asyncio.get_running_loop().call_soon(ending.set)
    await follow_until(ending, never())
    ending.clear()

    async def fails() -> None:
        raise ValueError("a fault of ours")

    with pytest.raises(ExceptionGroup):  # and does not go unseen
        await follow_until(ending, fails())


def test_the_files_of_a_folder_and_of_the_contracts_that_they_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("service: a.A\ndescriptors: {protos: [a.proto, ../b.proto]}\n")
    (tmp_path / "b.yml").write_text("service: b.B\ndescriptors: {set: b.binpb}\n")
    (tmp_path / "c.yaml").write_text("service: [\n")
    (tmp_path / "notes.txt").write_text("no definition")
    files = definition_files(tmp_path)
    assert [file.name for file in files] == ["a.yaml", "b.yml", "c.yaml"]
    named = ("a.proto", "../b.proto", "b.binpb")
    assert set(source_files(files)) == {tmp_path / name for name in named}
    assert read_forms(tmp_path).keys() == {"a.A", "b.B"}
    assert definition_files(tmp_path / "a.yaml") == [tmp_path / "a.yaml"]


def test_what_is_named_is_a_file_first_and_then_a_ready_made_pipeline(tmp_path: Path) -> None:
    service, pipeline = tmp_path / "service.yaml", tmp_path / "pipeline.yaml"
    service.write_text("service: a.A\n")
    pipeline.write_text("pipeline: p\n")
    assert named_file(str(service)) == service
    assert (is_pipeline(service), is_pipeline(pipeline), is_pipeline(tmp_path)) == (False, True, False)
    assert is_pipeline(named_file("echo"))
    with pytest.raises(ConfigurationError, match="there is no ecko") as caught:
        named_file("ecko")
    assert "echo" in (caught.value.hint or "")
