"""A package by name, so that `tests.property` is ours: a distribution we depend on installs a `tests` of its own."""
