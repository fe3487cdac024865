"""Scenario files: their model, how they are read, and how they become cells and plans."""
