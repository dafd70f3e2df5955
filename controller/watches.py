"""The operator framework as this controller runs it: inside a process that lives longer than its watches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import kopf
from kopf._cogs.structs.references import Insights  # what it has found out; it is in no public module
from kubernetes.aio.client import ApiClient

from controller.connection import connection_info
from controller.handlers import GROUP, OURS, Intake, make_registry, make_settings
from controller.tasks import first_of

_log = logging.getLogger(__name__)

_FRAMEWORK: Final = str(Path(kopf.__file__).parent)


async def run_watches(
    client: ApiClient, intake: Intake, namespaces: tuple[str, ...], stop: asyncio.Event, started: Callable[[], None]
) -> str:
    """Feed the events of all watches to `intake` until `stop`, or until the framework gives up; return why it did.

    It gives up for good on an answer that it does not expect, such as 404 for a CRD that is being replaced. `started` is
    called when it has put its own signal handlers in place of ours.
    """
    insights = Insights()
    tasks = await kopf.spawn_tasks(
        insights=insights,
        registry=make_registry(intake, nodes=not namespaces, log_in=partial(connection_info, client)),
        settings=make_settings(failed=intake.interrupted),
        clusterwide=not namespaces,
        namespaces=namespaces,
        stop_flag=stop,
    )
    started()
    running = asyncio.create_task(kopf.run_tasks(tasks, ignored=_NotTheFrameworks()), name="framework")
    try:
        await first_of(insights.ready_resources.wait, running)
        unknown = OURS - {resource.plural for resource in insights.watched_resources if resource.group == GROUP}
        if unknown and not running.done():  # it would never look again
            return f"the API server does not tell of {' and '.join(sorted(unknown))} yet"
        await running
    except Exception as failure:  # noqa: BLE001 - whatever it is, only a new start helps
        return f"{type(failure).__name__}: {failure}"[:300]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return "they ended by themselves"


class _NotTheFrameworks(frozenset[asyncio.Task[Any]]):
    """Tasks that are not the framework's: in the end it cancels every task that is not in here, whoever began it."""

    def __contains__(self, task: object) -> bool:
        code = getattr(task.get_coro(), "cr_code", None) if isinstance(task, asyncio.Task) else None
        return code is None or not code.co_filename.startswith(_FRAMEWORK)
