"""What ``/metrics`` says, read by prometheus-client's own parser."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text_format


class Scrape:
    """Samples by their names and labels; ``Scrape(text)`` or ``Scrape(text, strict=True)``."""

    def __init__(self, text: str, *, strict: bool = False) -> None:
        read = openmetrics if strict else text_format
        self.families: list[Metric] = list(read(text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def __call__(self, name: str, **labels: str) -> float:
        """The sum over the series that have these labels."""
        return sum(
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def labels(self, names: Iterable[str]) -> set[str]:
        """All values of these labels."""
        wanted = set(names)
        return {
            value for each in self.samples for name, value in each.labels.items() if name in wanted
        }
