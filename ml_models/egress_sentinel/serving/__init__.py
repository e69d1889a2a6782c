"""A model as an endpoint on this machine: the container's contract over HTTP."""
