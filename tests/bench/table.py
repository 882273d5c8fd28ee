"""The benches' table: a figure, what stands beside it, the budget, and how far it is met."""

from __future__ import annotations

LESS, MORE = "≤", "≥"


def head() -> None:
    """The first line."""
    print(f"{'work':<44}{'figure':>10} {'':<6}{'beside':<30}{'budget':>8}{'of it':>7}")


def row(work: str, figure: float, unit: str, beside: str = "", budget: str = "") -> None:
    """A line; ``budget`` is "≤ 100" or "≥ 300"."""
    met = ""
    if budget:
        sign, bound = budget.split()
        ratio = float(bound) / figure if sign == LESS else figure / float(bound)
        met = f"{ratio:.2f}"
    print(f"{work:<44}{figure:>10.1f} {unit:<6}{beside:<30}{budget:>8}{met:>7}", flush=True)
