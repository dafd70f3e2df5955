"""The process: its signals, its terms and its lease, and its exit status."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from controller import __main__ as program
from controller import app as module
from controller.app import Controller
from controller.errors import ControllerError
from controller.settings import ControllerSettings
from sedna_py.metrics import names
from tests.controller.fakes import until

SETTINGS = {"HTTP_HOST": "127.0.0.1", "HTTP_PORT": 0, "POD_NAME": "pod-1"}


class Elector:
    """Leads when it is told to; `loses` and `breaks` end one run."""

    def __init__(self, stage: Stage, holder: tuple[str, str]) -> None:
        self.stage = stage
        self.holder = holder
        self.leading = asyncio.Event()
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        self.stage.did("waits for the lease")
        try:
            await self.end
        finally:
            self.leading.clear()
            self.end = asyncio.get_running_loop().create_future()

    def loses(self) -> None:
        self.end.set_result(None)

    def breaks(self, failure: Exception) -> None:
        self.end.set_exception(failure)

    async def release(self) -> None:
        self.stage.did("releases the lease")

    def may_write(self) -> bool:
        return self.leading.is_set()

    def leader_address(self) -> str | None:
        return None


class Term:
    """Stays until it is over; `failure` ends it before."""

    def __init__(self, stage: Stage, options: dict[str, Any]) -> None:
        self.stage = stage
        self.options = options
        self.store = SimpleNamespace(services={}, models={}, all_pods=list, children=lambda _: [])
        self.queue: list[Any] = []
        self.status = SimpleNamespace(count=lambda _: 0)
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, over: asyncio.Event) -> None:
        self.stage.did("term begins")
        self.options["started"]()
        waits = asyncio.ensure_future(over.wait())
        try:
            await asyncio.wait([waits, self.failure], return_when=asyncio.FIRST_COMPLETED)
            if self.failure.done():
                self.failure.result()
            await asyncio.sleep(0.002)  # what it has to clean up
        finally:
            waits.cancel()
            self.stage.did("term ends")


class Stage:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
        self.seen: list[str] = []
        self.electors: list[Elector] = []
        self.terms: list[Term] = []
        self.ports: list[int] = []
        self.controller = Controller(ControllerSettings(**{**SETTINGS, **settings}))
        monkeypatch.setattr(module, "connect", self.connect)
        monkeypatch.setattr(module, "Elector", self.elect)
        monkeypatch.setattr(module, "Term", self.begin)

    def did(self, what: str) -> None:
        self.seen.append(what)

    async def connect(self, **_: int) -> Any:
        async def close() -> None:
            self.did("closes its connections")

        return SimpleNamespace(close=close)

    def elect(self, _: Any, *, holder: tuple[str, str], **__: Any) -> Elector:
        self.electors.append(Elector(self, holder))
        self.ports.append(int(holder[1].rsplit(":", 1)[1]))
        return self.electors[-1]

    def begin(self, *_: Any, **options: Any) -> Term:
        self.terms.append(Term(self, options))
        return self.terms[-1]

    async def sees(self, what: str, times: int = 1) -> None:
        await until(lambda: self.seen.count(what) >= times)

    async def leads(self) -> None:
        await self.sees("waits for the lease")
        self.electors[0].leading.set()
        await self.sees("term begins")

    def metric(self, name: str) -> float | None:
        return self.controller._metrics.registry.get_sample_value(name)


def play(monkeypatch: pytest.MonkeyPatch, scenario: Callable[[Stage], Awaitable[None]], **settings: Any) -> list[str]:
    """Run the controller with the scenario beside it; return what it did. Raises what the controller raises."""

    async def main() -> list[str]:
        stage = Stage(monkeypatch, **settings)
        running = asyncio.create_task(stage.controller.run())
        beside = asyncio.create_task(scenario(stage))
        try:
            async with asyncio.timeout(10):
                await asyncio.wait([running, beside], return_when=asyncio.FIRST_EXCEPTION)
                await running
                await beside
        finally:
            beside.cancel()
            running.cancel()
            await asyncio.gather(beside, running, return_exceptions=True)
        return stage.seen

    return asyncio.run(main())


def terminate() -> None:
    signal.raise_signal(signal.SIGTERM)


def test_sigterm_while_it_waits_ends_it_without_a_term(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.sees("waits for the lease")
        terminate()

    seen = play(monkeypatch, scenario)
    assert seen == ["waits for the lease", "releases the lease", "closes its connections"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_leads_ends_the_work_before_the_lease(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.leads()
        assert stage.metric(names.CONTROLLER_LEADER) == 1
        signal.raise_signal(number)
        await stage.sees("term ends")
        assert stage.metric(names.CONTROLLER_LEADER) == 0

    assert play(monkeypatch, scenario) == [
        "waits for the lease",
        "term begins",
        "term ends",
        "releases the lease",
        "closes its connections",
    ]


def test_a_signal_that_comes_before_anything_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(stage: Stage) -> None:
        await asyncio.sleep(0)
        stage.controller._stop.set()

    assert "term begins" not in play(monkeypatch, scenario)


def test_a_controller_that_is_alone_needs_no_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.sees("term begins")
        assert stage.terms[0].options["may_write"]()
        terminate()

    seen = play(monkeypatch, scenario, LEADER_ELECTION=False)
    assert seen == ["term begins", "term ends", "closes its connections"]


def test_a_lost_lease_ends_the_term_and_the_next_begins_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.leads()
        stage.electors[0].loses()
        await stage.sees("waits for the lease", 2)
        assert stage.seen[-2:] == ["term ends", "waits for the lease"]
        assert not stage.terms[0].options["may_write"]()
        stage.electors[-1].leading.set()
        await stage.sees("term begins", 2)
        assert stage.terms[0] is not stage.terms[1]
        terminate()

    assert play(monkeypatch, scenario)[-3:] == ["term ends", "releases the lease", "closes its connections"]


def test_a_term_that_fails_ends_the_process_and_releases_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.leads()
        stage.terms[0].failure.set_exception(ControllerError("cannot go on"))

    with pytest.raises(ControllerError, match="cannot go on"):
        play(monkeypatch, scenario)


@pytest.mark.parametrize("leading", [False, True])
def test_a_defect_in_the_election_is_not_taken_for_a_lost_lease(monkeypatch: pytest.MonkeyPatch, leading: bool) -> None:
    stages: list[Stage] = []

    async def scenario(stage: Stage) -> None:
        stages.append(stage)
        await (stage.leads() if leading else stage.sees("waits for the lease"))
        stage.electors[0].breaks(KeyError("defect"))

    with pytest.raises(KeyError, match="defect"):
        play(monkeypatch, scenario)
    assert stages[0].seen.count("waits for the lease") == 1
    assert stages[0].seen[-2:] == ["releases the lease", "closes its connections"]
    assert stages[0].seen.count("term ends") == int(leading)


def test_without_a_cluster_it_says_so_and_leaves_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nowhere(**_: int) -> Any:
        raise ControllerError("no cluster to talk to: set KUBECONFIG")

    stopped: list[bool] = []
    stop = module.HttpApi.stop

    async def stops(self: Any) -> None:
        stopped.append(True)
        await stop(self)

    monkeypatch.setattr(module, "connect", nowhere)
    monkeypatch.setattr(module.HttpApi, "stop", stops)

    async def main() -> None:
        await Controller(ControllerSettings(**SETTINGS)).run()

    with pytest.raises(ControllerError, match="KUBECONFIG"):
        asyncio.run(main())
    assert stopped == [True]


@pytest.mark.parametrize(("ip", "host"), [("10.0.0.7", "10.0.0.7"), ("fd00::7", "[fd00::7]")])
def test_others_are_told_an_address_that_they_can_use(monkeypatch: pytest.MonkeyPatch, ip: str, host: str) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.sees("waits for the lease")
        assert stage.electors[0].holder == ("pod-1", f"{host}:{stage.ports[0]}")
        terminate()

    play(monkeypatch, scenario, POD_IP=ip)


def test_it_is_alive_and_ready_while_it_waits_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.sees("waits for the lease")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{stage.ports[0]}", trust_env=False) as client:
            for path in ("/healthz", "/readyz", "/metrics"):
                assert (await client.get(path)).status_code == 200, path
        terminate()

    play(monkeypatch, scenario)


def run_program(monkeypatch: pytest.MonkeyPatch, **environment: str) -> int:
    monkeypatch.setattr(program, "configure_logging", lambda **_: None)
    monkeypatch.setattr(program, "quieten_libraries", lambda _: None)
    monkeypatch.setattr(program, "_runner", lambda: asyncio.run)
    return program.run(environment)


@pytest.mark.parametrize(
    ("ending", "status"), [(None, 0), (ControllerError("cannot\ngo on"), 1)], ids=["told to end", "cannot go on"]
)
def test_the_exit_status_says_whether_it_was_told_to_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ending: Exception | None, status: int
) -> None:
    async def run(_: Controller) -> None:
        if ending is not None:
            raise ending

    monkeypatch.setattr(Controller, "run", run)
    assert run_program(monkeypatch) == status
    assert [record.getMessage() for record in caplog.records] == (["cannot; go on"] if ending else [])


def test_a_wrong_setting_is_one_line_and_exit_status_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert run_program(monkeypatch, HTTP_PORT="70000", RESYNC_S="soon") == 1
    assert len(caplog.messages) == 1
    assert "HTTP_PORT" in caplog.messages[0]
    assert "RESYNC_S" in caplog.messages[0]
