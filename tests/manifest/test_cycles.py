from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest

from rpe.errors import ConfigurationError, ManifestFetchFailed, ManifestInvalid
from rpe.manifest.components import components, cycles_of, longest_path
from rpe.manifest.cycles import MAX_PIPELINES, Walk, find_remote_cycles, pipeline_identity
from rpe.manifest.model import Manifest, Node
from rpe.manifest.sources import ManifestSource, NamedSource, UrlSource


def url(name: str) -> dict[str, Any]:
    return {"manifest_url": f"https://h.test/{name}"}


def named(name: str) -> dict[str, Any]:
    return {"pipeline_name": name}


def inline(manifest: Manifest) -> dict[str, Any]:
    return {"manifest_source": {"type": "inline", "manifest": manifest.to_dict()}}


def pipeline(name: str, *calls: dict[str, Any], **labels: Any) -> Manifest:
    """A pipeline with a local node of its own, and one remote node for each call."""
    remote = [
        Node(f"r{i}", "RemotePipelineNode", {"endpoint": f"{name}:1", **call}) for i, call in enumerate(calls)
    ]
    return Manifest(name=name, nodes=(Node(name, "Local"), *remote), **labels)


class World:
    """Manifests at their names and URLs; counts what is fetched."""

    def __init__(self, *manifests: Manifest) -> None:
        self.manifests = {manifest.name: manifest for manifest in manifests}
        self.fetched: list[str] = []
        self.sources: list[ManifestSource] = []

    async def fetch(self, source: ManifestSource) -> Manifest:
        self.sources.append(source)
        if isinstance(source, NamedSource):
            self.fetched.append(source.name)
            if source.name not in self.manifests:
                raise ConfigurationError(f"no pipeline {source.name}")
            return self.manifests[source.name]
        assert isinstance(source, UrlSource)
        name = source.url.text.partition("?")[0].rpartition("/")[2]
        self.fetched.append(name)
        if name not in self.manifests:
            raise ManifestFetchFailed(f"nothing at {source.url}")
        return self.manifests[name]

    async def walk(self, root: Manifest, **options: Any) -> Walk:
        return await find_remote_cycles(root, self.fetch, **options)

    async def problems(self, root: Manifest, **options: Any) -> tuple[str, ...]:
        with pytest.raises(ManifestInvalid) as caught:
            await self.walk(root, **options)
        return caught.value.problems


async def test_a_pipeline_without_remote_nodes() -> None:
    assert await World().walk(pipeline("A")) == Walk(("A",), 0, ())


async def test_a_diamond_is_no_cycle_and_each_is_fetched_once() -> None:
    world = World(pipeline("B", url("D")), pipeline("C", url("D"), named("B")), pipeline("D"))
    walk = await world.walk(pipeline("A", url("B"), url("C#x"), url("B")))
    assert walk == Walk(("A", "B", "D", "C"), 3, ())
    assert sorted(world.fetched) == ["B", "B", "C", "D"], "B is asked for at two addresses: name and URL"


@pytest.mark.parametrize("how", [url, named])
async def test_the_way_back_to_the_beginning_is_found(how: Any) -> None:
    root = pipeline("A", how("B"))
    world = World(root, pipeline("B", how("C")), pipeline("C", how("A")))
    assert await world.problems(root) == ("it calls itself: A -> B -> C -> A",)
    assert world.fetched == ["B", "C", "A"]


async def test_the_way_is_followed_through_all_kinds_of_sources() -> None:
    root = pipeline("A", inline(pipeline("B", url("C"))))
    world = World(root, pipeline("C", named("D")), pipeline("D", url("A?v=planted")))
    assert await world.problems(root) == ("it calls itself: A -> B -> C -> D -> A",)


async def test_labels_for_people_do_not_hide_a_cycle() -> None:
    there = pipeline("A", url("B"), description="the same elsewhere")
    here = pipeline("A", url("B"), created_at="today")
    assert pipeline_identity(there) == pipeline_identity(here)
    assert await World(there, pipeline("B", url("A"))).problems(here) == ("it calls itself: A -> B -> A",)


async def test_a_cycle_further_on_is_told_with_the_way_to_it() -> None:
    world = World(pipeline("B", url("C")), pipeline("C", url("B")), pipeline("S", url("S")))
    assert await world.problems(pipeline("A", url("B"), url("S"))) == (
        "it calls itself: B -> C -> B (reached by A -> B)",
        "it calls itself: S -> S (reached by A -> S)",
    )


async def test_every_edge_of_every_cycle_is_told() -> None:
    root = pipeline("A", url("B"), url("C"))
    world = World(root, pipeline("B", url("A"), url("C")), pipeline("C", url("B")))
    assert await world.problems(root) == (
        "it calls itself: A -> B -> A",
        "it calls itself: A -> C -> B -> A",
        "it calls itself: B -> C -> B (reached by A -> B)",
    )


def chain(length: int) -> tuple[Manifest, World]:
    links = [pipeline(f"p{i}", *([url(f"p{i + 1}")] if i < length else [])) for i in range(length + 1)]
    return links[0], World(*links)


async def test_a_chain_of_ten_hops_passes_and_one_of_eleven_does_not() -> None:
    root, world = chain(10)
    assert (await world.walk(root)).depth == 10
    root, world = chain(11)
    (problem,) = await world.problems(root)
    assert problem.startswith("the chain is 11 hops deep, and 10 are possible: p0 -> p1 -> ")
    assert problem.endswith("-> p10 -> https://h.test/p11")
    assert "p11" not in world.fetched


async def test_a_chain_that_is_longer_on_a_later_way_is_found() -> None:
    """The depth is that of the longest way, not of the one on which a pipeline was reached first."""
    world = World(pipeline("B", url("C")), pipeline("C", url("D")), pipeline("D"))
    root = pipeline("A", url("C"), url("B"))
    assert (await world.walk(root)).depth == 3
    assert await world.problems(root, max_depth=2) == (
        "the chain is 3 hops deep, and 2 are possible: A -> B -> C -> D",
    )


async def test_an_endless_row_of_new_manifests_ends() -> None:
    count = 0

    async def fetch(source: ManifestSource) -> Manifest:
        nonlocal count
        count += 1
        return pipeline(f"n{count}", url(f"n{count + 1}"))

    with pytest.raises(ManifestInvalid, match="11 hops deep"):
        await find_remote_cycles(pipeline("A", url("n1")), fetch)
    assert count == 10


async def test_a_tree_that_is_too_wide_ends() -> None:
    count = 0

    async def fetch(source: ManifestSource) -> Manifest:
        nonlocal count
        count += 1
        return pipeline(f"n{count}", *(url(f"n{count}-{i}") for i in range(20)))

    with pytest.raises(ManifestInvalid, match=f"more than {MAX_PIPELINES} pipelines"):
        await find_remote_cycles(pipeline("A", url("n")), fetch)
    assert count <= MAX_PIPELINES


async def test_variables_are_replaced_only_in_what_runs_here() -> None:
    asks = {"auth_header": "Bearer ${SECRET}"}
    world = World(pipeline("B", {**url("evil"), **asks}, url("C")), pipeline("C"))
    walk = await world.walk(pipeline("A", {**url("B"), **asks}), environment={"SECRET": "planted"})
    assert [source.auth_header for source in world.sources if isinstance(source, UrlSource)] == [
        "Bearer planted",
        None,
    ]
    assert walk.not_followed == ("https://h.test/evil",)
    with pytest.raises(ConfigurationError, match="not set: SECRET"):
        await world.walk(pipeline("A", {**url("B"), **asks}))


async def test_names_that_only_others_know_are_not_followed() -> None:
    world = World(pipeline("B", named("theirs")))
    assert (await world.walk(pipeline("A", url("B")))).not_followed == ("predefined pipeline 'theirs'",)
    with pytest.raises(ConfigurationError, match="no pipeline theirs"):
        await world.walk(pipeline("A", named("theirs")))


async def test_what_cannot_be_fetched_is_passed_on_with_the_way() -> None:
    world = World(pipeline("B", url("gone")))
    with pytest.raises(ManifestFetchFailed, match="gone") as caught:
        await world.walk(pipeline("A", url("B")))
    assert caught.value.__notes__ == ["called by A -> B"]


async def test_remote_nodes_that_cannot_be_read_are_told_with_their_place() -> None:
    world = World(pipeline("B", {}, {"manifest_url": "ftp://x"}))
    with pytest.raises(ManifestInvalid, match=r"remote nodes of https://h\.test/B") as caught:
        await world.walk(pipeline("A", url("B")))
    assert [problem.split()[0] for problem in caught.value.problems] == [
        "nodes[1].params",
        "nodes[2].params.manifest_url",
    ]


async def test_pipelines_of_one_name_are_told_apart_and_queries_stay_hidden() -> None:
    world = World()
    world.manifests = {
        "first": pipeline("X", url("other?key=planted")),
        "other": Manifest(name="X", nodes=pipeline("Y", url("first")).nodes),
    }
    (problem,) = await world.problems(pipeline("A", url("first")))
    first, other = "X (https://h.test/first)", "X (https://h.test/other?...)"
    assert problem == f"it calls itself: {first} -> {other} -> {first} (reached by A -> {first})"


@pytest.mark.parametrize("seed", range(30))
def test_the_cycles_hold_exactly_the_edges_that_are_in_cycles(seed: int) -> None:
    rng = random.Random(seed)
    nodes = [f"n{i}" for i in range(rng.randint(1, 9))]
    graph = {node: rng.sample(nodes, rng.randint(0, min(3, len(nodes)))) for node in nodes}
    graph["n0"] = list(nodes)
    reach = {node: _reach(node, graph) for node in nodes}
    cyclic = {(a, b) for a in nodes for b in graph[a] if a in reach[b]}
    cycles = cycles_of("n0", graph)
    shown = {edge for cycle in cycles for edge in pairwise(cycle)}
    assert shown == cyclic
    assert all(cycle[0] == cycle[-1] and len(set(cycle)) == len(cycle) - 1 for cycle in cycles)
    together = {frozenset(b for b in nodes if b in reach[a] and a in reach[b]) for a in nodes}
    assert {frozenset(part) for part in components("n0", graph)} == together


def _reach(start: str, graph: dict[str, list[str]]) -> set[str]:
    found, waiting = {start}, [start]
    while waiting:
        for called in graph[waiting.pop()]:
            if called not in found:
                found.add(called)
                waiting.append(called)
    return found


def test_the_longest_path_of_a_long_chain_needs_no_recursion() -> None:
    graph = {f"{i}": [f"{i + 1}"] for i in range(3000)} | {"3000": []}
    assert len(longest_path("0", graph)) == 3001
