"""A market over time: campaigns with budgets and targets, query types, clearing, users, and its exact equilibria."""

__all__: list[str] = []
