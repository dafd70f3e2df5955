"""Runs the workers of one service as processes of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import httpx

from sedna_py.api.child_names import Role
from sedna_py.errors import SednaError
from sedna_py.local.output_lines import follow_lines
from sedna_py.local.ports import LOOPBACK
from sedna_py.local.restart_policy import GiveUp, RestartPolicy
from sedna_py.local.worker_plan import WorkerPlan

Say = Callable[[str, str], None]  # who, one line
STOP_S = 15.0  # from SIGTERM until SIGKILL
LAST_LINES_S = 1.0  # from the worker's end until its output is given up
READY_POLL_S = 0.05


class WorkerFailed(SednaError):
    """A worker cannot be kept running; the message has its last line."""


class WorkerProcess:
    """One worker: started, followed, started again after a crash, stopped, with all that it started itself."""

    def __init__(self, plan: WorkerPlan, say: Say, policy: RestartPolicy | None = None, stop_s: float = STOP_S) -> None:
        self._plan = plan
        self._say = say
        self._policy = policy or RestartPolicy()
        self._stop_s = stop_s
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._last_line = ""
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def run(self) -> None:
        """Return when the worker has ended by itself with status 0, or after `stop`. Raises WorkerFailed."""
        while not self._stopping.is_set():
            started = time.monotonic()
            status = await self._run_once()
            if status == 0 or self._stopping.is_set():
                return
            verdict = self._policy.ended(status, time.monotonic() - started)
            if isinstance(verdict, GiveUp):
                last = self._last_line or "it wrote nothing"
                raise WorkerFailed(f"the {self._plan.role} worker does not stay up: {verdict.reason}: {last}")
            self._say(self._plan.role, f"{verdict.reason}; starting it again in {verdict.delay_s:g} s")
            self.restarts += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), verdict.delay_s)

    def stop(self) -> None:
        """Ask the worker to end; `run` returns when it has."""
        self._stopping.set()

    async def _run_once(self) -> int:
        # A pipe of our own: asyncio's would keep `wait` from returning until everybody who inherited it has closed it.
        output, inlet = os.pipe()
        try:
            process = self._process = await self._start(inlet)
        except BaseException:
            os.close(output)
            raise
        finally:
            os.close(inlet)
        reading = asyncio.create_task(follow_lines(output, self._heard))
        try:
            await self._until_ended(process)
        finally:
            # Cancelled or not: neither the worker nor what it started outlives this.
            self._signal(process, signal.SIGKILL)
            try:
                await process.wait()
                await asyncio.wait({reading}, timeout=LAST_LINES_S)
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
        return process.returncode or 0

    async def _start(self, output: int) -> asyncio.subprocess.Process:
        plan = self._plan
        try:
            return await asyncio.create_subprocess_exec(
                *plan.command,
                env=dict(plan.environment),
                cwd=plan.directory,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches only us; we end the workers in order
            )
        except OSError as error:
            raise WorkerFailed(
                f"cannot start the {plan.role} worker: {plan.command[0]!r}: {error.strerror}; "
                "write a command that this machine has"
            ) from error

    async def _until_ended(self, process: asyncio.subprocess.Process) -> None:
        stopping = asyncio.create_task(self._stopping.wait())
        waiting = asyncio.create_task(process.wait())
        try:
            await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                self._signal(process, signal.SIGTERM)
                await asyncio.wait({waiting}, timeout=self._stop_s)
            if not waiting.done():
                self._say(self._plan.role, f"did not end within {self._stop_s:g} s; killed")
        finally:
            for task in (stopping, waiting):
                task.cancel()
            await asyncio.gather(stopping, waiting, return_exceptions=True)

    def _heard(self, line: str) -> None:
        if line.strip():
            self._last_line = line
        self._say(self._plan.role, line)

    @staticmethod
    def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
        """Signal all processes of the worker's group, which may be there when the worker itself is not any more."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)


class LocalService:
    """Both workers of a service. The edge decides how long it runs: to its source's end, or until it is cancelled.

    `end_others` ends who else is at the edge: when the edge ends or is ended, and before the cloud, which they may still ask.
    """

    def __init__(
        self,
        plans: Mapping[Role, WorkerPlan],
        say: Say,
        policy: Callable[[], RestartPolicy] = RestartPolicy,
        stop_s: float = STOP_S,
        end_others: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        prepare_directories(plans)
        self._say = say
        self._end_others = end_others
        self.cloud = WorkerProcess(plans[Role.CLOUD], say, policy(), stop_s)
        self.edge = WorkerProcess(plans[Role.EDGE], say, policy(), stop_s)
        self._port = int(plans[Role.CLOUD].environment["BIG_MODEL_BIND_PORT"])

    async def run(self, *, cloud_first_s: float = 0, insist: bool = True) -> None:
        """Run both; with `cloud_first_s`, give the cloud that long to be ready before the edge starts.

        If it is not ready by then: `insist` ends it all, else the edge starts without it.
        Raises WorkerFailed. Both workers have ended when this returns. Cancelled, it ends them first, the edge before the
        cloud that it may still ask; cancelled once more, it kills them.
        """
        cloud = asyncio.create_task(self.cloud.run())
        tasks = {self.cloud: cloud}
        try:
            if cloud_first_s:
                await self._until_ready(cloud, cloud_first_s, insist)
            edge = tasks[self.edge] = asyncio.create_task(self.edge.run())
            done, _ = await asyncio.wait({cloud, edge}, return_when=asyncio.FIRST_COMPLETED)
            if edge not in done:
                cloud.result()  # it may leave, but not fail
            await asyncio.wait({edge})
            edge.result()
        finally:
            await self._end(tasks)

    async def _end(self, tasks: Mapping[WorkerProcess, asyncio.Task[None]]) -> None:
        try:
            await asyncio.gather(
                self._end_one(self.edge, tasks), *([self._end_others()] if self._end_others is not None else [])
            )
            await self._end_one(self.cloud, tasks)
        except asyncio.CancelledError:
            for task in tasks.values():
                task.cancel()
            raise
        finally:
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    @staticmethod
    async def _end_one(worker: WorkerProcess, tasks: Mapping[WorkerProcess, asyncio.Task[None]]) -> None:
        worker.stop()
        if worker in tasks:
            await asyncio.wait({tasks[worker]})

    async def _until_ready(self, cloud: asyncio.Task[None], limit_s: float, insist: bool) -> None:
        deadline = time.monotonic() + limit_s
        async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
            while time.monotonic() < deadline:
                if cloud.done():
                    cloud.result()
                    raise WorkerFailed("the cloud worker ended before it was ready")
                if await self._is_ready(client):
                    return
                await asyncio.wait({cloud}, timeout=READY_POLL_S)
        late = f"the cloud worker was not ready within {limit_s:g} s"
        if insist:
            raise WorkerFailed(late)
        self._say(Role.CLOUD, f"{late}; the edge starts without it")

    async def _is_ready(self, client: httpx.AsyncClient) -> bool:
        try:
            answer = await client.get(f"http://{LOOPBACK}:{self._port}/readyz")
        except httpx.HTTPError:
            return False
        # A user's own server may have no /readyz: any answer but "not now" will do.
        return answer.status_code != 503


def prepare_directories(plans: Mapping[Role, WorkerPlan]) -> None:
    """Make the hostPath directories that may be made. Raises SednaError for one that must be there and is not."""
    for plan in plans.values():
        for directory in plan.host_directories:
            if directory.must_exist and not directory.path.is_dir():
                raise SednaError(
                    f"the {plan.role} worker mounts {str(directory.path)!r}, which is not there; "
                    "make it, or write type: DirectoryOrCreate"
                )
            if not directory.must_exist and not directory.path.exists():
                _make(directory.path)


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise SednaError(f"cannot make the directory {str(path)!r}: {error.strerror}") from None
