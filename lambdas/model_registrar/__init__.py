"""Registers what a training job made as a model package that a person may approve, with all that one should know."""
