"""The wires: the ports every transport fills, their registry, and the transports themselves."""
