"""What the tests of paths inside a bar send, and how they read what came of it."""

from __future__ import annotations

from typing import Any

from ml4t.backtest import Results

from .market import Action

NEXT = (104, 104, 104, 104)


def path(name: str, **others: str) -> dict[str, str]:
    """Return policies: a path, and what else is chosen."""
    return {"path": name} | others


def sends(*orders: tuple[str, float, dict[str, Any]]) -> Action:
    """Send several orders: side, quantity and terms."""

    def act(now: Any) -> None:  # noqa: ANN401 - the running strategy
        for side, quantity, terms in orders:
            getattr(now.broker, side)("A", quantity, **terms)

    return act


def child(entry: dict[str, Any], terms: dict[str, Any]) -> Action:
    """Buy ten, and sell them with an order that waits for that."""

    def act(now: Any) -> None:  # noqa: ANN401
        now.broker.sell("A", 10, parent=now.broker.buy("A", 10, **entry), **terms)

    return act


def guarded(rule: Any, **entry: Any) -> Action:  # noqa: ANN401 - a rule, and terms of the order
    """Buy ten under a position rule."""

    def act(now: Any) -> None:  # noqa: ANN401
        now.broker.set_position_rules(rule)
        now.broker.buy("A", 10, **entry)

    return act


def rows(results: Results, *names: str) -> list[tuple[Any, ...]]:
    """Return of each fill its order, its price and what else is asked for."""
    return results.fills.select("order_id", "price", *names).rows()
