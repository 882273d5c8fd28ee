"""Lines over a logarithmic or linear scale, as SVG 1.1: axes, ticks, labels, a legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from math import ceil, floor, log10
from typing import Final

WIDTH, HEIGHT = 860, 440
LEFT, RIGHT, TOP, BOTTOM = 80, 310, 44, 56
COLOURS: Final = ("#0b6e99", "#c2410c", "#2e7d32", "#7b3fa0", "#b8860b", "#c2185b", "#455a64")
"""Dark enough on white (WCAG 1.4.11); lines differ by dash and mark, too."""

DASHES: Final = ("", "6 3", "2 3", "9 3 2 3")
HEAD: Final = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}"'
    f' height="{HEIGHT}" role="img" font-family="sans-serif" font-size="12" fill="#222">'
)

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """A label with its unit, and whether equal steps are equal factors."""

    label: str
    is_log: bool = False

    def ticks(self, values: Sequence[float]) -> list[float]:
        """Round values around all of these."""
        low, high = min(values), max(values)
        if self.is_log:
            first, last = floor(log10(low)), ceil(log10(high))
            return [10.0**power for power in range(first, max(last, first + 1) + 1)]
        step = 10.0 ** floor(log10(max(high, 1e-9)))
        step = next(step * part for part in (0.2, 0.5, 1, 2) if high / (step * part) <= 6)
        return [step * number for number in range(ceil(high / step) + 1)]

    def place(self, value: float, ticks: Sequence[float]) -> float:
        """From 0 at the first tick to 1 at the last."""
        low, high = ticks[0], ticks[-1]
        if self.is_log:
            return log10(value / low) / log10(high / low)
        return (value - low) / (high - low)


@dataclass(slots=True)
class Plot:
    """Named lines; ``svg`` draws them. A logarithmic axis takes no value of 0 or less."""

    title: str
    x: Axis
    y: Axis
    lines: dict[str, list[Point]] = field(default_factory=dict)

    def add(self, name: str, points: Sequence[Point]) -> None:
        """One more line, or more of one."""
        self.lines.setdefault(name, []).extend(points)

    def svg(self) -> str:
        """The whole document."""
        points = [point for line in self.lines.values() for point in line]
        xs, ys = (axis.ticks(values) for axis, values in zip(
            (self.x, self.y), zip(*points, strict=True), strict=True
        ))  # fmt: skip
        parts = [HEAD, f"<title>{escape(self.title)}</title>"]
        parts.append(f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>')
        parts.append(_text(LEFT, 24, self.title, size=15))
        parts += [*self._frame(xs, ys), *self._drawn(xs, ys), "</svg>"]
        return "\n".join(parts) + "\n"

    def _at(self, point: Point, xs: Sequence[float], ys: Sequence[float]) -> Point:
        across, up = self.x.place(point[0], xs), self.y.place(point[1], ys)
        x = LEFT + across * (WIDTH - LEFT - RIGHT)
        return round(x, 1), round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1)

    def _frame(self, xs: Sequence[float], ys: Sequence[float]) -> list[str]:
        parts = []
        for tick in xs:
            x, y = self._at((tick, ys[0]), xs, ys)
            parts += [_line(x, y, x, TOP), _text(x, y + 18, _short(tick), anchor="middle")]
        for tick in ys:
            x, y = self._at((xs[0], tick), xs, ys)
            parts += [
                _line(x, y, WIDTH - RIGHT, y),
                _text(x - 6, y + 4, _short(tick), anchor="end"),
            ]
        middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
        parts.append(_text(middle, HEIGHT - 14, self.x.label, anchor="middle"))
        turned = f'<g transform="translate(20 {TOP + (HEIGHT - TOP - BOTTOM) / 2}) rotate(-90)">'
        parts.append(turned + _text(0, 0, self.y.label, anchor="middle") + "</g>")
        return parts

    def _drawn(self, xs: Sequence[float], ys: Sequence[float]) -> list[str]:
        parts = []
        for number, (name, line) in enumerate(self.lines.items()):
            colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
            look = f'fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"'
            places = [self._at(point, xs, ys) for point in sorted(line)]
            path = " ".join(f"{x},{y}" for x, y in places)
            parts.append(f'<polyline points="{path}" {look}/>')
            parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places]
            x, y = WIDTH - RIGHT + 14, TOP + 10 + number * 18
            parts.append(f'<polyline points="{x},{y} {x + 24},{y}" {look}/>')
            parts.append(_text(x + 30, y + 4, name))
        return parts


def _line(x: float, y: float, to_x: float, to_y: float) -> str:
    return f'<line x1="{x}" y1="{y}" x2="{to_x}" y2="{to_y}" stroke="#ddd"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    place = f'x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}"'
    return f"<text {place}>{escape(text)}</text>"


def _short(value: float) -> str:
    for over, letter in ((1e6, "M"), (1e3, "k")):
        if value >= over:
            return f"{value / over:g}{letter}"
    return f"{value:g}"
