"""Faults: one kind per file, the actions they decide on, and the proxy that carries them out."""
