"""Compares the rows of each day or hour with the training rows of the serving model."""
