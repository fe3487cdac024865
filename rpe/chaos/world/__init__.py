"""Worlds: where the servers of a scenario live, and how a fault is done to them."""
