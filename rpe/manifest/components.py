"""Two questions to a directed graph: which cycles are in it, and how long its longest path is."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import pairwise

__all__ = ["components", "cycles_of", "longest_path"]

Graph = Mapping[str, Sequence[str]]


def components(root: str, graph: Graph) -> list[list[str]]:
    """The strongly connected components that can be reached from the root; those called come first.

    Tarjan, "Depth-first search and linear graph algorithms" (1972), with a stack of its own in place
    of recursion.
    """
    index: dict[str, int] = {root: 0}
    low: dict[str, int] = {root: 0}
    path, open_nodes = [(root, iter(graph[root]))], [root]
    is_open = {root}
    found: list[list[str]] = []
    while path:
        node, following = path[-1]
        for called in following:
            if called not in index:
                index[called] = low[called] = len(index)
                path.append((called, iter(graph[called])))
                open_nodes.append(called)
                is_open.add(called)
                break
            if called in is_open:
                low[node] = min(low[node], index[called])
        else:
            path.pop()
            if path:
                low[path[-1][0]] = min(low[path[-1][0]], low[node])
            if low[node] == index[node]:
                start = open_nodes.index(node)
                found.append(open_nodes[start:])
                is_open.difference_update(open_nodes[start:])
                del open_nodes[start:]
    return found


def cycles_of(root: str, graph: Graph) -> list[list[str]]:
    """Cycles, each from a node back to itself, that together hold every edge that is in any cycle.

    There can be exponentially many cycles, so not each is listed: for every edge inside of a
    component that no cycle shows yet, the shortest cycle through it is added. Each begins at
    the node of it that is nearest to the root in the order of the graph.
    """
    order = {node: place for place, node in enumerate(graph)}
    cycles: list[list[str]] = []
    for component in sorted(components(root, graph), key=lambda nodes: min(map(order.__getitem__, nodes))):
        inside = set(component)
        shown: set[tuple[str, str]] = set()
        for node in sorted(component, key=order.__getitem__):
            for called in graph[node]:
                if called not in inside or (node, called) in shown:
                    continue
                cycle = [node, *_shortest(called, node, graph, inside)]
                shown.update(pairwise(cycle))
                first = min(range(len(cycle) - 1), key=lambda place: order[cycle[place]])
                cycles.append([*cycle[first:-1], *cycle[: first + 1]])
    return cycles


def _shortest(start: str, goal: str, graph: Graph, inside: set[str]) -> list[str]:
    """The shortest path between two nodes of one component, by breadth."""
    before: dict[str, str | None] = {start: None}
    waiting = deque([start])
    while goal not in before:
        node = waiting.popleft()
        for called in graph[node]:
            if called in inside and called not in before:
                before[called] = node
                waiting.append(called)
    path: list[str] = []
    at: str | None = goal
    while at is not None:
        path.append(at)
        at = before[at]
    return path[::-1]


def longest_path(root: str, graph: Graph) -> list[str]:
    """The longest path from the root of a graph without cycles."""
    longest: dict[str, list[str]] = {}
    for (node,) in components(root, graph):
        tails = (longest[called] for called in graph[node])
        longest[node] = [node, *max(tails, key=len, default=[])]
    return longest[root]
