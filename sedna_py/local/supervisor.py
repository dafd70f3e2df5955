"""Runs the workers of one service as processes of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from sedna_py.api.child_names import Role
from sedna_py.errors import SednaError
from sedna_py.local.restart_policy import GiveUp, RestartPolicy
from sedna_py.local.worker_plan import LOOPBACK, WorkerPlan

Say = Callable[[str, str], None]  # who, one line
STOP_S = 15.0  # from SIGTERM until SIGKILL
LINE_LIMIT = 64 * 1024
READY_POLL_S = 0.05


class WorkerFailed(SednaError):
    """A worker cannot be kept running; the message has its last line."""


class WorkerProcess:
    """One worker: started, followed, started again after a crash, stopped."""

    def __init__(self, plan: WorkerPlan, say: Say, policy: RestartPolicy | None = None) -> None:
        self._plan = plan
        self._say = say
        self._policy = policy or RestartPolicy()
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
                raise WorkerFailed(
                    f"the {self._plan.role} worker does not stay up: {verdict.reason}: {self._last_line}"
                )
            self._say(self._plan.role, f"{verdict.reason}; starting it again in {verdict.delay_s:g} s")
            self.restarts += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), verdict.delay_s)

    def stop(self) -> None:
        """Ask the worker to end; `run` returns when it has."""
        self._stopping.set()
        self._signal(signal.SIGTERM)

    async def _run_once(self) -> int:
        plan = self._plan
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                *plan.command,
                env=dict(plan.environment),
                cwd=plan.directory,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                limit=LINE_LIMIT,
                start_new_session=True,  # Ctrl-C reaches only us; we end the workers in order
            )
        except OSError as error:
            raise WorkerFailed(f"cannot start {plan.command[0]!r}: {error.strerror}") from error
        try:
            await self._follow(process)
        except asyncio.CancelledError:
            self._signal(signal.SIGKILL)
            await process.wait()
            raise
        return process.returncode or 0

    async def _follow(self, process: asyncio.subprocess.Process) -> None:
        reading = asyncio.create_task(self._read_lines(process))
        stopping = asyncio.create_task(self._stopping.wait())
        waiting = asyncio.create_task(process.wait())
        try:
            await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                self._signal(signal.SIGTERM)  # again: `stop` may have come before the process was there
                await asyncio.wait({waiting}, timeout=STOP_S)
            if not waiting.done():
                self._say(self._plan.role, f"did not end within {STOP_S:.0f} s; killed")
                self._signal(signal.SIGKILL)
            await waiting
            # What the worker started itself may hold the pipe open; its lines are not worth waiting for.
            await asyncio.wait({reading}, timeout=1)
        finally:
            for task in (reading, stopping, waiting):
                task.cancel()
            await asyncio.gather(reading, stopping, waiting, return_exceptions=True)

    async def _read_lines(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # longer than LINE_LIMIT; asyncio has thrown it away
                continue
            if not line:
                return
            self._last_line = line.decode(errors="replace").rstrip()
            self._say(self._plan.role, self._last_line)

    def _signal(self, number: signal.Signals) -> None:
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)


class LocalService:
    """Both workers of a service. The edge decides how long it runs: to its source's end, or until `stop`."""

    def __init__(self, plans: Mapping[Role, WorkerPlan], say: Say) -> None:
        prepare_directories(plans)
        self.cloud = WorkerProcess(plans[Role.CLOUD], say)
        self.edge = WorkerProcess(plans[Role.EDGE], say)
        self._port = int(plans[Role.CLOUD].environment["BIG_MODEL_BIND_PORT"])

    async def run(self, *, cloud_first_s: float = 0) -> None:
        """Run both; with `cloud_first_s`, give the cloud that long to be ready before the edge starts.

        Raises WorkerFailed; both workers have ended when this returns, also when it is cancelled.
        """
        cloud = asyncio.create_task(self.cloud.run())
        edge: asyncio.Task[None] | None = None
        try:
            if cloud_first_s:
                await self._until_ready(cloud, cloud_first_s)
            edge = asyncio.create_task(self.edge.run())
            done, _ = await asyncio.wait({cloud, edge}, return_when=asyncio.FIRST_COMPLETED)
            if cloud in done:
                cloud.result()
            await edge
        finally:
            self.stop()
            tasks = [task for task in (edge, cloud) if task is not None]
            await asyncio.shield(asyncio.gather(*tasks, return_exceptions=True))

    def stop(self) -> None:
        """End both workers."""
        self.edge.stop()
        self.cloud.stop()

    async def _until_ready(self, cloud: asyncio.Task[None], limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
            while time.monotonic() < deadline:
                if cloud.done():
                    cloud.result()
                    raise WorkerFailed("the cloud worker ended before it was ready")
                with contextlib.suppress(httpx.HTTPError):
                    # A user's own server may have no /readyz: any answer but "not now" will do.
                    if (await client.get(f"http://{LOOPBACK}:{self._port}/readyz")).status_code != 503:
                        return
                await asyncio.wait({cloud}, timeout=READY_POLL_S)
        raise WorkerFailed(f"the cloud worker was not ready within {limit_s:.0f} s")


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
