"""What ``/metrics`` shows, for Prometheus: answers counted in this process, jobs counted by the ledger."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from understudy.integrations.server.github import EVENTS
from understudy.integrations.server.queue import Queue

__all__ = ["Metrics"]

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The server's figures; labels have few values, whoever asks."""

    def __init__(self, queue: Queue) -> None:
        """Count from nought, but for what the ledger knows."""
        self._registry = CollectorRegistry()
        self._answers = Counter(
            "understudy_deliveries", "Deliveries by event and result", ("event", "result"), registry=self._registry
        )
        self._seconds = Histogram(
            "understudy_answer_seconds", "Time to answer a delivery", buckets=_BUCKETS, registry=self._registry
        )
        self._registry.register(_OfLedger(queue))

    def answered(self, event: str, result: str, seconds: float) -> None:
        """Count an answer; events that nothing is done about count as ``other``."""
        self._answers.labels(event if event in EVENTS else "other", result).inc()
        self._seconds.observe(seconds)

    def page(self) -> bytes:
        """Return the text that Prometheus reads."""
        return generate_latest(self._registry)


class _OfLedger(Collector):
    """Jobs by state and how long they took, as the ledger knows them when asked."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        figures = self._queue.ledger.figures()
        jobs = GaugeMetricFamily("understudy_jobs", "Jobs by command and state", labels=("command", "state"))
        for (command, state), count in sorted(figures.states.items()):
            jobs.add_metric((command, state), count)
        seconds = SummaryMetricFamily("understudy_job_seconds", "Time that ended jobs took", labels=("command",))
        for command, (count, spent) in sorted(figures.seconds.items()):
            seconds.add_metric((command,), count, spent)
        queued = GaugeMetricFamily("understudy_queue_length", "Messages that wait in the queue", self._queue.size())
        workers = GaugeMetricFamily("understudy_workers", "Workers that gave a sign of life lately", figures.workers)
        return [jobs, seconds, queued, workers]
