"""Modules that only training uses: dataset, hyperparameters, evaluation, baseline and others."""
