"""The transports that are known by name: ours, and those that other packages add by entry point."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from rpe.errors import ConfigurationError, DuplicateTransport, UnknownTransport
from rpe.transport.ports import TransportPlugin

__all__ = ["ENTRY_POINT_GROUP", "TransportRegistry", "get_transport", "register_transport", "transport_names"]

ENTRY_POINT_GROUP = "rpe.transports"
"""The entry point group in which another package names its plugins."""


class TransportRegistry:
    """Transports by name. Entry points are read at first need, and loaded one by one when asked for."""

    def __init__(self, *, entry_point_group: str | None = ENTRY_POINT_GROUP) -> None:
        self._group = entry_point_group
        self._plugins: dict[str, TransportPlugin] = {}

    def register(self, plugin: TransportPlugin) -> None:
        """Add a plugin. Raises DuplicateTransport where its name is taken, also by an entry point."""
        if plugin.name in self.names():
            raise DuplicateTransport(
                f"a transport named {plugin.name!r} is registered already",
                hint="give the plugin another name",
            )
        self._plugins[plugin.name] = plugin

    def get(self, name: str) -> TransportPlugin:
        """Return the plugin of that name, loading it where it has not been used yet.

        Raises UnknownTransport (listing the known names), DuplicateTransport where two
        packages claim the name, ConfigurationError where a plugin cannot be loaded.
        """
        if name in self._plugins:
            return self._plugins[name]
        found = [point for point in self._entry_points() if point.name == name]
        if not found:
            raise UnknownTransport(
                f"no transport is named {name!r}",
                hint=f"known transports: {', '.join(self.names()) or 'none'}",
            )
        if len(found) > 1:
            claims = ", ".join(point.value for point in found)
            raise DuplicateTransport(
                f"several packages claim the transport {name!r}: {claims}", hint="remove one"
            )
        try:
            plugin: TransportPlugin = found[0].load()
        except ImportError as error:
            raise ConfigurationError(
                f"the transport {name!r} cannot be loaded: {error}", hint=f"pip install 'rpe[{name}]'"
            ) from error
        self._plugins[name] = plugin
        return plugin

    def names(self) -> tuple[str, ...]:
        """Return every known name, sorted."""
        return tuple(sorted({*self._plugins, *(point.name for point in self._entry_points())}))

    def _entry_points(self) -> list[EntryPoint]:
        return list(entry_points(group=self._group)) if self._group else []


_REGISTRY = TransportRegistry()


def register_transport(plugin: TransportPlugin) -> None:
    """Add a transport for this process (see `TransportRegistry.register`)."""
    _REGISTRY.register(plugin)


def get_transport(name: str) -> TransportPlugin:
    """Return the transport of that name (see `TransportRegistry.get`)."""
    return _REGISTRY.get(name)


def transport_names() -> tuple[str, ...]:
    """Return the names of all known transports, sorted."""
    return _REGISTRY.names()
