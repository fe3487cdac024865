"""The reliable client: pool, policies and one deadline around any transport."""

from __future__ import annotations

from rpe.client.reliable import ReliableClient, connect
from rpe.client.session import ReliableSession
from rpe.client.settings import ClientSettings
from rpe.client.statistics import ClientStatistics, EndpointStatistics
from rpe.client.sync import SyncClient, connect_sync

__all__ = [
    "ClientSettings",
    "ClientStatistics",
    "EndpointStatistics",
    "ReliableClient",
    "ReliableSession",
    "SyncClient",
    "connect",
    "connect_sync",
]
