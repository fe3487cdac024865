"""Opens all remote nodes of a pipeline together, before anything runs, and closes them in the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Any

from rpe.client.pool import EndpointPool
from rpe.client.reliable import ReliableClient
from rpe.errors import ConfigurationError, ManifestInvalid, RpeError
from rpe.manifest.cycles import find_remote_cycles
from rpe.manifest.model import Manifest
from rpe.manifest.nodes import Node
from rpe.manifest.sources.fetcher import ManifestFetcher
from rpe.node.contract import NodeCall
from rpe.node.remote.access import transport_config
from rpe.node.remote.checking import check_node_types
from rpe.node.remote.metrics import RemoteMeter
from rpe.node.remote.settings import LocalSpec, PoolSpec, RemoteSettings
from rpe.node.remote.shared import Local, Pool, Remote, Step
from rpe.node.resources import Shelf
from rpe.transport.ports import PipelineClient
from rpe.transport.registry import get_transport

if TYPE_CHECKING:
    from rpe.node.runner import PipelineRunner

__all__ = ["open_remote"]

_SOURCE_PARAMS = frozenset(
    ["manifest", "manifest_url", "auth_header", "pipeline_name", "manifest_endpoint", "manifest_source"]
)


@asynccontextmanager
async def open_remote(call: NodeCall) -> AsyncIterator[Remote]:
    """The resource of one remote node. The first one that is opened opens all."""
    assert call.resources is not None  # a runner opens it
    shelf = call.resources.shelf
    remotes = await call.resources.common(open_remote, lambda: _open_all(shelf))
    yield remotes[call.node_id]


@asynccontextmanager
async def _open_all(shelf: Shelf) -> AsyncIterator[Mapping[str, Remote]]:
    """Read credentials, look for circles, fetch manifests, make clients, ask servers what they have.

    In this order, so that nothing is sent to a pipeline's server before all is known to be sound.
    """
    nodes: dict[str, RemoteSettings] = {
        node_id: step.settings
        for node_id, step in shelf.steps.items()
        if isinstance(step.settings, RemoteSettings)
    }
    fetcher = _fetcher(shelf)
    configs = _configs(nodes, shelf)
    if not shelf.memory.get("remote.walked"):
        await find_remote_cycles(
            _with_fallbacks(shelf.manifest, nodes), fetcher.fetch, environment=shelf.remote.environment
        )
        shelf.memory["remote.walked"] = True
    async with AsyncExitStack() as stack:
        remotes = {}
        for node_id, settings in nodes.items():
            with _told_of(node_id):
                remotes[node_id] = await _open_one(node_id, settings, configs[node_id], fetcher, shelf, stack)
        checked: set[str] = shelf.memory.setdefault("remote.checked", set())
        wanted = [one for one in remotes.values() if one.settings.check_node_types]
        wanted = [one for one in wanted if one.node_id not in checked]
        for one, known in zip(wanted, await _all(wanted), strict=True):
            if known:
                checked.add(one.node_id)
        yield remotes


async def _all(remotes: list[Remote]) -> list[bool]:
    """Check all at once; raise the first refusal."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(check_node_types(one)) for one in remotes]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


class _told_of:  # noqa: N801  # reads as a word
    """Names the node in an error of rpe that names none."""

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, RpeError):
            error.node = error.node or self._node_id


def _fetcher(shelf: Shelf) -> ManifestFetcher:
    """The one of the runner. It holds no connection, so it may be kept from one opening to the next."""
    known: ManifestFetcher | None = shelf.memory.get("remote.fetcher")
    if known is None:
        options = shelf.remote
        known = ManifestFetcher(options.fetch, clock=shelf.clock, pipelines=options.pipelines)
        shelf.memory["remote.fetcher"] = known
    return known


def _configs(nodes: Mapping[str, RemoteSettings], shelf: Shelf) -> dict[str, list[dict[str, Any]]]:
    """The transports' settings of each node's pools. Raises one error for all that is missing."""
    problems: list[ConfigurationError] = []
    configs: dict[str, list[dict[str, Any]]] = {}
    for node_id, settings in nodes.items():
        configs[node_id] = []
        for spec in settings.pools:
            try:
                configs[node_id].append(transport_config(spec, shelf.remote))
                spec.source.expanded(shelf.remote.environment)
            except ConfigurationError as error:
                error.node = error.node or node_id
                problems.append(error)
    if len(problems) > 1:
        told = "; ".join(f"node {error.node}: {error.message}" for error in problems)
        raise ConfigurationError(told, hint=problems[0].hint) from problems[0]
    if problems:
        raise problems[0]
    return configs


def _with_fallbacks(manifest: Manifest, nodes: Mapping[str, RemoteSettings]) -> Manifest:
    """The manifest with the pipelines that remote nodes fall back on as remote nodes of their own."""
    added = []
    for node_id, settings in nodes.items():
        item = manifest.node(node_id)
        steps = () if item is None else item.params.get("fallback") or ()
        for number, (raw, spec) in enumerate(zip(steps, settings.fallback, strict=True), start=1):
            if isinstance(spec, PoolSpec) and spec.source is not settings.primary.source:
                params = {key: value for key, value in raw.items() if key in _SOURCE_PARAMS}
                added.append(Node(f"{node_id}.fallback.{number}", "RemotePipelineNode", params))
    taken = {item.id for item in manifest.nodes}
    extra = tuple(item for item in added if item.id not in taken)
    if not extra:
        return manifest
    return Manifest(name=manifest.name, nodes=(*manifest.nodes, *extra), connections=manifest.connections)


async def _open_one(
    node_id: str,
    settings: RemoteSettings,
    configs: list[dict[str, Any]],
    fetcher: ManifestFetcher,
    shelf: Shelf,
    stack: AsyncExitStack,
) -> Remote:
    node_meter = shelf.meters[node_id]
    meter = node_meter.remote = node_meter.remote or RemoteMeter()
    meter.opened()
    waiting = iter(configs)
    steps: list[Step] = []
    for spec in (settings.primary, *settings.fallback):
        if isinstance(spec, PoolSpec):
            manifest = await fetcher.fetch(spec.source.expanded(shelf.remote.environment))
            pool = _pool(spec, next(waiting), manifest, meter, shelf)
            await stack.enter_async_context(pool.client)
            steps.append(pool)
        elif isinstance(spec, LocalSpec):
            steps.append(Local(spec, await stack.enter_async_context(_runner(spec, shelf))))
        else:
            steps.append(spec)
    chain = None
    if settings.fallback:
        from rpe.node.remote.chains import make_chain  # only those who fall back need chains

        chain = make_chain(tuple(steps), settings.chain, shelf.clock, shelf.remote)
        await stack.enter_async_context(chain)  # which ends its sessions, before their clients are closed
    return Remote(node_id, settings, tuple(steps), chain, meter, shelf.clock)


def _pool(
    spec: PoolSpec, config: Mapping[str, Any], manifest: Manifest, meter: RemoteMeter, shelf: Shelf
) -> Pool:
    """A client as `rpe.connect` makes one, with the pool in hand: it is asked for its servers' versions."""
    plugin = get_transport(spec.transport)
    plugin.validate_config(config)
    rng = Random(shelf.remote.seed)

    def make_client(endpoint: str) -> PipelineClient:
        return plugin.create_client(endpoint, config)

    observers = (meter, *shelf.remote.observers)
    endpoints = EndpointPool(spec.endpoints, spec.client, make_client, rng=rng, observers=observers)
    client = ReliableClient(endpoints, spec.client, clock=shelf.clock, rng=rng)
    return Pool(spec, client, endpoints, manifest)


def _runner(spec: LocalSpec, shelf: Shelf) -> PipelineRunner:
    from rpe.node.runner import PipelineRunner  # here, because a runner leads to this module

    try:
        return PipelineRunner(spec.manifest, shelf.registry, clock=shelf.clock, remote=shelf.remote)
    except ManifestInvalid as error:
        raise ManifestInvalid(
            "a remote node cannot fall back on its local pipeline",
            problems=[f"{spec.where}: {told}" for told in error.problems],
        ) from error
