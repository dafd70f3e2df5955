"""The operator framework as this controller runs it: inside a process that lives longer than its watches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import kopf
from kubernetes.aio.client import ApiClient

from controller.connection import connection_info
from controller.handlers import Intake, make_registry, make_settings

_log = logging.getLogger(__name__)

_FRAMEWORK: Final = str(Path(kopf.__file__).parent)


async def run_watches(
    client: ApiClient, intake: Intake, namespaces: tuple[str, ...], stop: asyncio.Event, started: Callable[[], None]
) -> str:
    """Feed the events of all watches to `intake` until `stop`, or until the framework gives up; return why it did.

    It gives up for good on an answer that it does not expect, such as 404 for a CRD that is being replaced. `started` is
    called when it has put its own signal handlers in place of ours.
    """
    tasks = await kopf.spawn_tasks(
        registry=make_registry(intake, nodes=not namespaces, log_in=partial(connection_info, client)),
        settings=make_settings(cluster_wide=not namespaces, failed=intake.interrupted),
        clusterwide=not namespaces,
        namespaces=namespaces,
        stop_flag=stop,
    )
    started()
    try:
        await kopf.run_tasks(tasks, ignored=_NotTheFrameworks())
    except Exception as failure:  # noqa: BLE001 - whatever it is, only a new start helps
        return f"{type(failure).__name__}: {failure}"[:300]
    return "they ended by themselves"


class _NotTheFrameworks(frozenset[asyncio.Task[Any]]):
    """Tasks that are not the framework's: in the end it cancels every task that is not in here, whoever began it."""

    def __contains__(self, task: object) -> bool:
        code = getattr(task.get_coro(), "cr_code", None) if isinstance(task, asyncio.Task) else None
        return code is None or not code.co_filename.startswith(_FRAMEWORK)
