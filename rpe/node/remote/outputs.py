"""The outputs of a remote pipeline in the order in which they came out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rpe.data import RuntimeData
from rpe.manifest.model import Manifest

__all__ = ["in_order"]


def in_order(outputs: Mapping[str, RuntimeData], manifest: Manifest) -> Iterator[RuntimeData]:
    """Give outputs by their names: `output` and `output.1`, or ids of nodes in the order of the manifest.

    A wire may carry them in any order, and a node that gave several has them numbered.
    """
    if len(outputs) < 2:
        return iter(outputs.values())
    places = {node.id: place for place, node in enumerate(manifest.output_nodes)}

    def place(name: str) -> tuple[int, str, int]:
        if name in places:
            return places[name], name, 0
        base, _, number = name.rpartition(".")
        if base and number.isascii() and number.isdigit():
            return places.get(base, len(places)), base, int(number)
        return len(places), name, 0

    return (outputs[name] for name in sorted(outputs, key=place))
