"""The edge's frame loop: buffer -> little model -> filter -> sinks, with hard frames going to the cloud beside it."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sedna_py.budgeted_filter import BudgetedFilter
from sedna_py.decision_log import Emit
from sedna_py.errors import EstimatorError, SednaError
from sedna_py.hard_example_mining import BaseFilter, Decision, decide
from sedna_py.protocol.causes import OffloadCause
from workers.edge.decision import NO_FILTER, CloudAnswer, FrameResult, Progress, conclude, tidy, to_list
from workers.edge.frame_load import FrameLoad
from workers.edge.frames import SourceFrame
from workers.edge.metrics import EdgeMetrics
from workers.edge.offline_queue.queue import OfflineQueue
from workers.edge.offload import Offloader
from workers.edge.reader import STOP_S, Reader
from workers.edge.send_policy import SendPolicy
from workers.edge.sinks.base import Sink, SinkWriter
from workers.inference.predictor import Predictor

LOG = logging.getLogger(__name__)
RESULTS_WAITING = 32  # results that may wait for the sinks before the frame loop waits for them
END_SLACK_S = 10.0  # on top of the offload deadline, for the last frames to leave


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """What the loop needs to know beside its parts. `filter` None: no frame is hard."""

    filter: BaseFilter | None
    filter_name: str
    mine_first: bool = False  # mining-then-inference: the filter judges the raw frame
    display_threshold: float = 0.0
    deadline_s: float = 2.0
    budget: BudgetedFilter | None = None  # the filter again, where it keeps a budget and is to be told what was sent
    policy: SendPolicy | None = None  # what is worth sending, beside what the filter doubts
    run: str = ""  # tells this process's frames from those of another one in the same decision log
    edge_first: bool = False  # a hard frame's edge answer leaves at once, and what came of the cloud follows it


class EdgePipeline:
    """Runs until the source ends or `stop`. Every frame that leaves the buffer is closed by one result, exactly.

    With `edge_first` another result may go before it, with an `offline` queue one may come long after it. Frames inside are
    bounded by the buffer (`frames_inside`): a frame is inside until the result that closes it has been written.
    """

    def __init__(
        self,
        reader: Reader,
        predictor: Predictor,
        offloader: Offloader | None,
        sinks: Sequence[Sink],
        options: PipelineOptions,
        metrics: EdgeMetrics,
        offline: OfflineQueue | None = None,
    ) -> None:
        self._offline = offline
        self._reader = reader
        self._buffer = reader.buffer
        self._predictor = predictor
        self._offloader = offloader
        self._options = options
        self._metrics = metrics
        self._writer = SinkWriter(sinks, self._written, metrics.sink_failed)
        self._unanswered: dict[int, Progress] = {}
        self._filter_failed = False
        self._filter_lock = threading.Lock()
        self._count_lock = threading.Lock()
        self._policy_lock = threading.Lock()
        self._in_model = 0
        self.load = FrameLoad(predictor.streams)
        self.frames = 0
        self.hard = 0

    def run(self) -> None:
        """Process frames until there are no more. Raises the source's error if it failed, SednaError if frames were lost."""
        self._reader.start()
        self._writer.start()
        if self._offline is not None:
            self._offline.start(self._writer.put)
        try:
            while (frame := self._next()) is not None:
                self._process(frame)
        finally:
            self._finish()
        if self._reader.error is not None:
            raise self._reader.error
        if self._buffer.out:
            raise SednaError(f"{self._buffer.out} frames did not leave: the model or the outputs are stuck")

    def stop(self) -> None:
        """Take no more frames; what was read still leaves."""
        self._reader.stop()

    def _next(self) -> SourceFrame | None:
        """Return the next frame, None at the end: frames with the cloud or the sinks get a limit then, a slow model none."""
        while True:
            frame = self._buffer.get(self._options.deadline_s + END_SLACK_S)
            if frame is not None or not self._in_model:
                return frame

    def _process(self, frame: SourceFrame) -> None:
        if frame.sequence < 0:
            frame.sequence = self.frames
            frame.taken = time.monotonic()
            self.frames += 1
        self.load.begun()
        if not self._options.mine_first:
            self._infer(Progress(frame))
            return
        progress = self._unanswered.pop(frame.sequence, None)
        if progress is not None:
            self._infer(progress)
            return
        progress = Progress(frame, self._judge_raw(frame))
        if progress.decision.hard and not self._options.edge_first:
            self.load.left()
            self._ask_cloud(progress)
        else:
            self._infer(progress)

    def _infer(self, progress: Progress) -> None:
        started = time.monotonic()
        again = progress.answer is not None  # the cloud was asked first, in vain

        def answered(result: Any) -> None:
            progress.edge_ms = (time.monotonic() - started) * 1000
            try:
                self._after_edge(progress, result)
            finally:
                self.load.left(again=again)
                self._count(in_model=-1)

        self._count(in_model=1)
        self._predictor.submit(progress.frame.picture, answered)

    def _after_edge(self, progress: Progress, result: Any) -> None:
        try:
            progress.edge = None if isinstance(result, Exception) else to_list(result)
        except EstimatorError as error:
            result = error
        if isinstance(result, Exception):
            self._metrics.model_failed(progress.frame, result)
            if not progress.decision.hard:
                failed = f"the little model failed: {type(result).__name__}"
                progress.decision = Decision(hard=True, reason=failed, score=None)
                if self._options.budget is not None:  # no answer of the edge to fall back on
                    self._options.budget.overrule(judged=self._options.mine_first)
        elif not self._options.mine_first:
            progress.decision = self._judge(progress.edge)
        if progress.edge is not None and progress.answer is None:
            self._choose(progress, progress.edge)
        if progress.decision.hard and progress.answer is None:
            self._ask_cloud(progress)
        else:
            self._conclude(progress)

    def _choose(self, progress: Progress, boxes: list[Any]) -> None:
        """Let the policy have its say about a frame that the filter has judged."""
        policy, budget = self._options.policy, self._options.budget
        if policy is None:
            return
        with self._policy_lock:  # answers come from several threads
            choice = policy.choose(progress.decision, boxes, progress.frame)
        progress.decision, progress.view = choice.decision, choice.view
        if choice.sampled and budget is not None:
            budget.overrule(judged=True)
        if choice.duplicate:
            progress.answer = CloudAnswer(None, OffloadCause.NEAR_DUPLICATE)
            self._count(hard=1)
            if budget is not None:
                budget.spare()
        elif choice.sampled:
            self._metrics.sampled()

    def _note_answered(self, progress: Progress) -> None:
        if self._options.policy is not None and progress.view is not None:
            with self._policy_lock:
                self._options.policy.answered(progress.frame, progress.view)

    def _judge_raw(self, frame: SourceFrame) -> Decision:
        if self._options.filter is None:
            return NO_FILTER
        # RGB as upstream's scripts give it, and contiguous: PyTorch takes no view with a negative stride.
        return self._judge(np.ascontiguousarray(frame.picture[..., ::-1]))

    def _judge(self, data: Any) -> Decision:
        if self._options.filter is None:
            return NO_FILTER
        try:
            with self._filter_lock:  # answers come from several threads, and a filter may keep state
                return tidy(decide(self._options.filter, data))
        except Exception as error:  # a user's filter; the frame still has the edge's answer
            if not self._filter_failed:
                self._filter_failed = True
                LOG.exception("the filter %s failed; its frames count as easy", self._options.filter_name)
            return Decision(hard=False, reason=f"the filter failed: {type(error).__name__}", score=None)

    def _ask_cloud(self, progress: Progress) -> None:
        self._count(hard=1)
        self.load.cloud_asked()

        def answered(answer: CloudAnswer) -> None:
            progress.answer = answer
            if self._options.budget is not None:
                self._options.budget.sent(answer.bytes_sent)
            if answer.result is not None:
                self._note_answered(progress)
            if answer.result is None and progress.edge_ms is None:  # mined first: the little model has not been asked
                self._unanswered[progress.frame.sequence] = progress
                self._buffer.put_back(progress.frame)
            else:
                self._conclude(progress)

        if self._offloader is None:
            answered(CloudAnswer(None, OffloadCause.NO_CLOUD))
        else:
            self._offloader.submit(progress.frame, answered, begun=lambda: self._answer_first(progress))

    def _answer_first(self, progress: Progress) -> None:
        """Let the edge's answer go before the cloud is asked; where it has none there is nothing to amend."""
        if self._options.edge_first and progress.edge is not None:
            self._conclude(progress)
            progress.amends = True

    def _conclude(self, progress: Progress) -> None:
        result = conclude(
            progress,
            filter_name=self._options.filter_name,
            threshold=self._options.display_threshold,
            run=self._options.run,
            offloads_waiting=self._offloader.pending if self._offloader else 0,
            now=time.monotonic(),
        )
        self._writer.put(result)

    def _written(self, result: FrameResult) -> None:
        record = result.record
        self._metrics.written(record)
        if record.emit.closes:
            if self._offline is not None:
                self._offline.offer(result)
            self._buffer.done()
        elif record.emit is Emit.LATE and self._offline is not None:
            self._offline.delivered(result)

    def _count(self, *, hard: int = 0, in_model: int = 0) -> None:
        with self._count_lock:
            self.hard += hard
            self._in_model += in_model

    def _finish(self) -> None:
        """Let every frame inside leave, then every part; what one part raises keeps none of the others from ending."""
        with contextlib.ExitStack() as parts:
            parts.callback(self._reader.join, STOP_S)  # a process must not end inside a read
            if self._offline is not None:
                parts.callback(self._offline.close)  # after the last result has been offered to it
            parts.callback(self._writer.finish, END_SLACK_S)
            parts.callback(self._predictor.close)
            self._reader.stop()
            self._buffer.close()
            if self._offloader is not None:
                self._offloader.close()
            while (frame := self._buffer.get(0)) is not None:  # the cloud gave these up just now
                self._process(frame)


def frames_inside(predictor: Predictor, offload_capacity: int) -> int:
    """Return the bound for FrameBuffer's `most_out`: frames in the model, with the cloud, and waiting for the sinks."""
    return predictor.requests + offload_capacity + RESULTS_WAITING
