"""What every part's metrics have in common that is read when somebody asks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

Figures = TypeVar("Figures")


class FiguresCollector(Collector, Generic[Figures]):
    """Renders the figures that `read` returns; until `watch` there are none, as there is no such part."""

    def __init__(self) -> None:
        self._read: Callable[[], Figures] | None = None

    def watch(self, read: Callable[[], Figures]) -> None:
        """Render what `read` returns from now on."""
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of this moment."""
        if self._read is not None:
            yield from self.render(self._read())

    @abstractmethod
    def render(self, figures: Figures, /) -> Iterator[Metric]:
        """Yield the metrics of these figures."""
