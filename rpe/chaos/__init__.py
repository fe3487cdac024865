"""Chaos: scenarios that script faults against a client under test, and the judge of what happened."""
