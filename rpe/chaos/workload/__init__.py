"""Workloads: open-loop load on a client under test, every operation of which ends exactly once."""
