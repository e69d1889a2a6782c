"""Worlds in which everything that may go wrong does, by a seed: `python -m tests.simulation --seed N`."""
