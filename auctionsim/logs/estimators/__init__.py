"""Estimators of options' values from logs, one a file."""

__all__: list[str] = []
