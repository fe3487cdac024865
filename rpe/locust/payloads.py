"""What the engine has been given already: the same manifest or data goes over only once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from rpe.data import Payload, RuntimeData
from rpe.load.messages import pack_data
from rpe.locust.bridge import Bridge
from rpe.manifest.model import Manifest

__all__ = ["Payloads"]

_MOST_BYTES = 64 * 1024 * 1024
_MOST = 4096


class Payloads:
    """Numbers for what the engine has, by identity: data does not change, so it is kept and reused.

    What has not been used for longest is dropped, once more than 64 MiB or 4096 pieces are kept.
    """

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._manifests: dict[Manifest, int] = {}
        self._seen: dict[int, tuple[Manifest, int]] = {}
        self._orders: dict[tuple[Any, ...], int] = {}
        self._orders_of: dict[int, list[tuple[Any, ...]]] = {}
        self._kept: OrderedDict[int, tuple[RuntimeData, int, int]] = OrderedDict()
        self._bytes = 0

    def manifest(self, manifest: Manifest) -> int:
        """Return the number of a manifest, which is sent where the engine does not have it."""
        seen = self._seen.get(id(manifest))  # a manifest is compared as a whole, which takes its time
        if seen is not None:
            return seen[1]
        number = self._manifests.get(manifest)
        if number is None:
            number = self._manifests[manifest] = self._bridge.number()
            self._bridge.send({"op": "manifest", "id": number}, manifest.to_json().encode())
            self._seen[id(manifest)] = manifest, number
        return number

    def order(self, data: RuntimeData, order: dict[str, Any]) -> int | None:
        """Return the number by which the engine knows an execution of data that it has, or None.

        It is described at its second call: data that is sent only once is not worth it. It is
        forgotten with its data.
        """
        found = self._kept.get(id(data))
        if found is None:
            return None
        self._kept.move_to_end(id(data))
        key = (found[1], *order.values())
        number = self._orders.get(key)
        if number is None:
            number = self._orders[key] = self._bridge.number()
            self._orders_of.setdefault(found[1], []).append(key)
            self._bridge.send(order | {"op": "order", "id": number, "data": found[1]})
        return number

    def inputs(self, data: RuntimeData | Mapping[str, RuntimeData]) -> int | dict[str, int]:
        """Return the number of a piece of data, or the numbers of several by node."""
        if isinstance(data, Payload):
            return self.data(data)
        return {node: self.data(part) for node, part in data.items()}

    def data(self, data: RuntimeData) -> int:
        """Return the number of a piece of data. Raises DataValidationError where it is none."""
        key = id(data)  # it is kept below, so nothing else can come to be at its place
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found[1]
        body = pack_data(data)
        number = self._bridge.number()
        self._bridge.send({"op": "data", "id": number}, body)
        self._kept[key] = data, number, len(body)
        self._bytes += len(body)
        return number

    def trim(self) -> None:
        """Drop what is too much. Called when an order is on its way, so that all it names is there."""
        while len(self._kept) > _MOST or self._bytes > _MOST_BYTES:
            _, (_, number, size) = self._kept.popitem(last=False)
            self._bytes -= size
            orders = [self._orders.pop(key) for key in self._orders_of.pop(number, ())]
            self._bridge.send({"op": "drop", "id": number, "orders": orders})
