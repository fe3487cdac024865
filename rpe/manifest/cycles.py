"""Finds pipelines that call themselves through other machines, before anything runs.

What a pipeline *is*: its content (version, nodes and connections; labels for people do not
count). An address - a URL without its fragment, a URL made of endpoint and name, or the name of
a predefined pipeline - stands for the content that is found there. So a pipeline is known
again wherever it is written, also where it is inline here and at a URL there. On which
endpoints a pipeline runs does not count either: what it calls is the same on each of them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from rpe.data.json_value import canonical_json
from rpe.errors import ConfigurationError, ManifestFetchFailed, ManifestInvalid
from rpe.manifest.components import cycles_of, longest_path
from rpe.manifest.model import Manifest
from rpe.manifest.remote import MAX_HOPS, is_remote
from rpe.manifest.sources.source import InlineSource, ManifestSource, NamedSource, UrlSource, read_source
from rpe.manifest.sources.variables import has_variable

__all__ = ["MAX_PIPELINES", "Walk", "find_remote_cycles", "pipeline_identity"]

MAX_PIPELINES = 256
"""How many pipelines one walk looks at: a manifest of strangers decides how many are fetched."""

Fetch = Callable[[ManifestSource], Awaitable[Manifest]]


@dataclass(frozen=True, slots=True)
class Walk:
    """What a walk saw. `not_followed`: pipelines that only the machine calling them can look up."""

    pipelines: tuple[str, ...]
    depth: int
    not_followed: tuple[str, ...]


def pipeline_identity(manifest: Manifest) -> str:
    """A digest of the content: equal for two manifests that do the same, whatever they are called."""
    form = manifest.to_dict()
    del form["metadata"]
    return hashlib.sha256(canonical_json(form).encode()).hexdigest()


async def find_remote_cycles(
    manifest: Manifest,
    fetch: Fetch,
    *,
    environment: Mapping[str, str] | None = None,
    max_depth: int = MAX_HOPS,
) -> Walk:
    """Walk depth first through all pipelines that a pipeline calls on other machines.

    fetch: gives the manifest of a source, as `ManifestFetcher.fetch` does; called once for each address.
    environment: the variables of `manifest` itself. Those in the manifests that it calls belong
        to the machines that run them: they are not replaced here (a stranger's manifest could send
        this machine's secrets anywhere), so a pipeline behind such a credential, or behind a name
        that is predefined only over there, is not followed but told in the result. A loop through
        it is left to the hop limit of running pipelines.
    max_depth: how many hops a chain of pipelines may have.

    Raises ManifestInvalid with every cycle and every chain that is too deep, each as a path
    (`A -> B -> C -> A`); also for remote nodes that cannot be read. Passes on what `fetch` raises.
    """
    walker = _Walker(fetch, environment or {}, max_depth)
    root = await walker.walk(manifest)
    names = walker.names()
    problems = [
        f"it calls itself: {_path(cycle, names)}"
        + ("" if root in cycle else f" (reached by {_path(walker.chains[cycle[0]], names)})")
        for cycle in cycles_of(root, walker.calls)
    ]
    chains = dict.fromkeys(walker.too_deep)
    depth = 0
    if not problems:
        longest = longest_path(root, walker.calls)
        depth = len(longest) - 1
        if depth > max_depth and not chains:
            chains[tuple(longest)] = None
    problems += [
        f"the chain is {len(chain) - 1} hops deep, and {max_depth} are possible: {_path(chain, names)}"
        for chain in chains
    ]
    if problems:
        raise ManifestInvalid(
            "the pipelines behind the remote nodes cannot run",
            problems=problems,
            hint="let one of the pipelines of each path do its work without calling the next",
        )
    return Walk(tuple(names[key] for key in walker.calls), depth, tuple(walker.not_followed))


@dataclass
class _Walker:
    """The graph as far as it is known: pipelines by identity, and which ones each of them calls."""

    fetch: Fetch
    environment: Mapping[str, str]
    max_depth: int
    calls: dict[str, list[str]] = field(default_factory=dict)
    chains: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The path on which each pipeline was first reached, itself included."""
    labels: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The name of each pipeline, and where it was found in words that are safe to show."""
    known: dict[str, str] = field(default_factory=dict)
    """From an address to the identity of what is there."""
    too_deep: list[tuple[str, ...]] = field(default_factory=list)
    not_followed: dict[str, None] = field(default_factory=dict)

    async def walk(self, manifest: Manifest) -> str:
        return await self._enter(manifest, "the pipeline that runs here", ())

    async def _enter(self, manifest: Manifest, label: str, chain: tuple[str, ...]) -> str:
        """Go through a pipeline that was just reached, unless it is known."""
        key = pipeline_identity(manifest)
        if key in self.calls:
            return key
        if len(self.calls) >= MAX_PIPELINES:
            raise ManifestInvalid(f"more than {MAX_PIPELINES} pipelines hang on this one")
        self._note(key, manifest.name, label, chain)
        for source in self._sources(manifest, label, local=not chain):
            called = await self._reach(source, self.chains[key])
            if called not in self.calls[key]:
                self.calls[key].append(called)
        return key

    async def _reach(self, source: ManifestSource, chain: tuple[str, ...]) -> str:
        """The identity of what a source stands for, gone through as far as the depth allows."""
        address, label = _address(source)
        if address in self.known:
            return self.known[address]
        if len(chain) > self.max_depth:
            return self._stop(address, label, chain)
        if isinstance(source, InlineSource):
            return await self._enter(source.manifest, f"inline in {self._label(chain[-1])}", chain)
        if isinstance(source, UrlSource) and source.auth_header and has_variable(source.auth_header):
            return self._leave_out(address, label, chain)
        try:
            manifest = await self.fetch(source)
        except ConfigurationError as error:
            if len(chain) == 1 or not isinstance(source, NamedSource) or isinstance(error, ManifestInvalid):
                raise
            return self._leave_out(address, label, chain)
        except ManifestFetchFailed as error:
            error.add_note(f"called by {' -> '.join(map(self._label, chain))}")
            raise
        # Known before its calls are, so that a way back to here is not fetched again.
        self.known[address] = pipeline_identity(manifest)
        return await self._enter(manifest, label, chain)

    def _sources(self, manifest: Manifest, label: str, *, local: bool) -> list[ManifestSource]:
        sources: list[ManifestSource] = []
        problems: list[str] = []
        for index, node in enumerate(manifest.nodes):
            if not is_remote(node):
                continue
            try:
                source = read_source(node.params, f"nodes[{index}].params")
            except ManifestInvalid as error:
                problems += error.problems
            else:
                sources.append(source.expanded(self.environment) if local else source)
        if problems:
            raise ManifestInvalid(f"remote nodes of {label} are not valid", problems=problems)
        return sources

    def _stop(self, address: str, label: str, chain: tuple[str, ...]) -> str:
        if address not in self.calls:
            self._note(address, "", label, chain)
            self.too_deep.append((*chain, address))
        return address

    def _leave_out(self, address: str, label: str, chain: tuple[str, ...]) -> str:
        self._note(address, "", label, chain)
        self.known[address] = address
        self.not_followed[label] = None
        return address

    def _note(self, key: str, name: str, label: str, chain: tuple[str, ...]) -> None:
        self.calls[key] = []
        self.chains[key] = (*chain, key)
        self.labels[key] = (name if name.isprintable() else "", label)

    def _label(self, key: str) -> str:
        name, label = self.labels[key]
        return name or label

    def names(self) -> dict[str, str]:
        """What each pipeline is called in a path: by its name, where only one has it."""
        taken = Counter(name for name, _ in self.labels.values())
        return {
            key: name if taken[name] == 1 and name else f"{name} ({label})" if name else label
            for key, (name, label) in self.labels.items()
        }


def _address(source: ManifestSource) -> tuple[str, str]:
    """What a source is known by, and what it may be called in an error."""
    if isinstance(source, UrlSource):
        return source.url.text, source.url.shown
    if isinstance(source, NamedSource):
        label = f"predefined pipeline {source.name!r}"
        return label, label
    return pipeline_identity(source.manifest), source.manifest.name or "an inline pipeline"


def _path(chain: tuple[str, ...] | list[str], names: Mapping[str, str]) -> str:
    return " -> ".join(names[key] for key in chain)
