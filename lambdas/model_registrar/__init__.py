"""Registers the model of a training job as a model package, with the facts that a person needs to approve it."""
