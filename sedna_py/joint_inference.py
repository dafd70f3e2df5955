"""Upstream's `JointInference`: one call per example, the little model here, the big one only for what is hard.

Different from upstream, and safe for its scripts: a list or an array of any kind can be sent; a call waits for the cloud at
most OFFLOAD_DEADLINE_MS; a cloud that keeps failing is not waited for at all; and without an answer from the cloud the
edge's own result is returned in both mining modes, where upstream's mining-then-inference raised. What a script would
notice is off until it is asked for: see `JointInferenceSettings`.
"""

from __future__ import annotations

import logging
import threading
from copy import deepcopy
from types import TracebackType
from typing import Any, Self

from sedna_py.big_model_service import BigModelService
from sedna_py.budgeted_filter import BudgetedFilter, load_filter
from sedna_py.client.background_loop import BackgroundLoop
from sedna_py.client.cloud_client import CloudClient
from sedna_py.client.local_controller import InferenceCounts, LocalControllerReporter, WorkerIdentity
from sedna_py.client.pod_lookup import PodSource
from sedna_py.client.send_cap import SendCap
from sedna_py.client.settings import ClientSettings
from sedna_py.cloud_link import CloudAnswer, CloudLink, LinkOptions
from sedna_py.context import Context
from sedna_py.errors import SednaError, SettingsError
from sedna_py.hard_example_mining import BaseFilter, decide
from sedna_py.hard_example_mining.budget_plan import NO_PLAN, BudgetPlan
from sedna_py.host_address import get_host_ip
from sedna_py.job import JobBase, PostProcess, find_post_process
from sedna_py.job_settings import JointInferenceSettings
from sedna_py.mining import (
    NO_FILTER,
    Answer,
    EdgeAnswer,
    Increment,
    MiningMode,
    increment,
    keep_edge,
    parse_mode,
    take_cloud,
)
from sedna_py.model_loading import call_with_data
from sedna_py.protocol.causes import OffloadCause

__all__ = ["BigModelService", "JointInference"]

# A script is held up by each failure, a live video's worker is not: two in a row are enough here.
_FAILURES_UNTIL_OPEN = 2
_EXPECTED = frozenset({OffloadCause.CIRCUIT_OPEN, OffloadCause.CLOUD_ASLEEP, OffloadCause.OVER_CAP})


class JointInference(JobBase):
    """The edge worker of a script.

    `hard_example_mining` is {"method": name, "param": {...}}; without it HEM_NAME and HEM_PARAMETERS decide, and without
    those nothing is hard. The parameters `budget` and `cap` are kept as the edge worker keeps them. Raises FilterError,
    ModelError or SettingsError, and whatever the estimator raises in `load`.
    """

    def __init__(self, estimator: Any = None, hard_example_mining: dict[str, Any] | None = None) -> None:
        super().__init__(estimator)
        self.job_kind = "jointinferenceservice"
        self._settings = JointInferenceSettings.from_environment(Context.parameters)
        chosen = hard_example_mining or self.get_hem_algorithm_from_config()
        self.hard_example_mining_algorithm, self._plan = _load_filter(chosen)
        self.load_model()
        self._totals = _Totals()
        client = self._make_client()
        self._loop = BackgroundLoop("sedna-joint-inference")
        self.cloud = CloudLink(client, self._loop, self._link_options())
        self._reporter = self._start_reporter()

    @classmethod
    def get_hem_algorithm_from_config(cls, **param: Any) -> dict[str, Any]:
        """Return {"method": HEM_NAME, "param": {HEM_PARAMETERS, replaced by `param`}}; {} without HEM_NAME."""
        return Context.get_algorithm_from_api("HEM", **param)

    def inference(self, data: Any = None, post_process: PostProcess = None, **kwargs: Any) -> list[Any]:
        """Return [is_hard_example, result, edge_result, cloud_result].

        `kwargs` go to the estimator and, as further keys of the JSON, to the cloud. Raises ValueError for a bad
        MINING_MODE or one without its filter, and whatever the estimator, filter or post_process raise; never for the cloud.
        """
        mode = parse_mode(Context.get_parameters("MINING_MODE", MiningMode.INFERENCE_THEN_MINING.value))
        if mode is MiningMode.INFERENCE_THEN_MINING:
            answer = self._infer_then_mine(data, post_process, kwargs)
        else:
            answer = self._mine_then_infer(data, post_process, kwargs)
        self._totals.add(increment(mode, hard=answer.hard, hard_once=self._settings.count_hard_once))
        self.log.debug("example decided: %s", answer.reason)
        return answer.as_list()

    @property
    def counts(self) -> InferenceCounts:
        """The totals since the start, as they are reported."""
        return self._totals.read()

    def close(self) -> None:
        """Send the last report and let go of connections and threads; may be called again."""
        if self._reporter is not None:
            try:
                self._loop.run(self._reporter.stop(), timeout_s=2.0)
            except (SednaError, TimeoutError) as error:
                self.log.debug("the last report was not sent: %s", error)
            self._reporter = None
        self.cloud.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _infer_then_mine(self, data: Any, post_process: PostProcess, kwargs: dict[str, Any]) -> Answer:
        edge = self._ask_edge(data, post_process, kwargs)
        mining = self.hard_example_mining_algorithm
        decision = decide(mining, edge.shown) if mining else NO_FILTER
        if not decision.hard:
            return keep_edge(decision, edge)
        reply = self._ask_cloud(data, post_process, kwargs)
        return (
            keep_edge(decision, edge, reply.cause) if reply.result is None else take_cloud(decision, edge, reply.result)
        )

    def _mine_then_infer(self, data: Any, post_process: PostProcess, kwargs: dict[str, Any]) -> Answer:
        if self.hard_example_mining_algorithm is None:
            raise ValueError("Hard example mining algorithm is not set. Set HEM_NAME, or pass hard_example_mining")
        decision = decide(self.hard_example_mining_algorithm, data)
        if not decision.hard:
            return keep_edge(decision, self._ask_edge(data, post_process, kwargs))
        reply = self._ask_cloud(data, post_process, kwargs)
        if reply.result is None:
            return keep_edge(decision, self._ask_edge(data, post_process, kwargs), reply.cause)
        return take_cloud(decision, None, reply.result if self._settings.unwrap_reply else {"result": reply.result})

    def _ask_edge(self, data: Any, post_process: PostProcess, kwargs: dict[str, Any]) -> EdgeAnswer:
        callback = find_post_process(post_process)
        raw = call_with_data(self.estimator.predict, data, kwargs)
        return EdgeAnswer(raw, callback(deepcopy(raw)) if callback else raw)

    def _ask_cloud(self, data: Any, post_process: PostProcess, kwargs: dict[str, Any]) -> CloudAnswer:
        # A function cannot travel; it is for the edge's answer only.
        name = post_process if isinstance(post_process, str) else None
        reply = self.cloud.ask(data, name, kwargs)
        if isinstance(self.hard_example_mining_algorithm, BudgetedFilter):
            self.hard_example_mining_algorithm.sent(reply.bytes_sent)
        if reply.result is None:
            # An open circuit was said when it opened, so was a cloud that sleeps, and a cap is meant to hold examples back.
            known = reply.cause in _EXPECTED
            self.log.log(logging.DEBUG if known else logging.ERROR, "get cloud result error: %s", reply.detail)
        return reply

    def _make_client(self) -> CloudClient:
        deadline_s = self._settings.offload_deadline_ms / 1000
        options = ClientSettings(
            deadline_s=deadline_s, failure_threshold=_FAILURES_UNTIL_OPEN, probe_timeout_s=deadline_s + 1
        )
        host = self._settings.cloud_host or get_host_ip()
        pods = self._settings.cloud_pods
        return CloudClient(
            f"http://{host}:{self._settings.cloud_port}",
            prefix=self.job_name,
            settings=options,
            pods=PodSource.parse(pods) if pods else None,
            cap=SendCap(self._plan.cap) if self._plan.cap else None,
        )

    def _link_options(self) -> LinkOptions:
        settings = self._settings
        return LinkOptions(
            deadline_s=settings.offload_deadline_ms / 1000,
            as_npy=settings.offload_format == "npy",
            send_callback=settings.cloud_post_process,
        )

    def _start_reporter(self) -> LocalControllerReporter | None:
        if not self._settings.lc_server:
            return None
        identity = WorkerIdentity(self.worker_name, self.namespace, self.job_name)
        server, period_s = self._settings.lc_server, self._settings.lc_period_s
        try:
            reporter = LocalControllerReporter(server, identity, self._totals.read, period_s=period_s)
        except SettingsError as error:
            self.log.warning("no reports are sent: %s", error)
            return None
        self._loop.submit(reporter.run())
        return reporter


class _Totals:
    """Counts from the script's threads, read by the reporter's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = InferenceCounts()

    def add(self, more: Increment) -> None:
        with self._lock:
            now = self._counts
            self._counts = InferenceCounts(now.inferences + more.inferences, now.hard_examples + more.hard_examples)

    def read(self) -> InferenceCounts:
        with self._lock:
            return self._counts


def _load_filter(chosen: dict[str, Any]) -> tuple[BaseFilter | None, BudgetPlan]:
    if not chosen:
        return None, NO_PLAN
    return load_filter(chosen.get("method", "IBT"), chosen.get("param") or {})
