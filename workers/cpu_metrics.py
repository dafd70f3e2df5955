"""The two gauges that say what a worker found of its container's cpu limit."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from sedna_py.metrics import names
from workers.cpu_limit import CpuBudget


def show_cpu(registry: CollectorRegistry, cpu: CpuBudget) -> None:
    """Add the limit (cpus, 0 without one) and the number of inference threads to a worker's metrics."""
    Gauge(names.WORKER_CPU_LIMIT, "Cpus that the container may use, 0 = no limit", registry=registry).set(
        cpu.quota or 0
    )
    Gauge(names.WORKER_THREADS, "Threads that the model computes with", registry=registry).set(cpu.threads)
