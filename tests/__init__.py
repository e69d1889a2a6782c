"""The tests: a package by name, since a dependency of the SageMaker SDK installs one that is called the same."""
