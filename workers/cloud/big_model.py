"""The big model behind the routes: one request in, one result out, in bounded time and memory."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_py.class_factory import ClassFactory, ClassType
from sedna_py.errors import BodyTooLarge, MalformedBody, ProtocolError, SednaError
from sedna_py.estimator import is_frame
from sedna_py.protocol import images, npy, sedna_json
from sedna_py.protocol.media_types import JSON, NPY
from sedna_py.protocol.model_input import ModelInput
from workers.cloud.admission import Admission
from workers.cloud.stages import Stages
from workers.inference.engine import PredictorClosed, last_line
from workers.inference.predictor import EstimatorPredictor, HookPredictor, as_exception
from workers.inference.reduced_decode import decode_reduced

AnyPredictor = HookPredictor | EstimatorPredictor
Body = bytes | NDArray[np.uint8]
Attached = Callable[[AnyPredictor, str], None]  # hears of each predictor that serves, and of its version
A_PICTURE = "height x width x 3 numbers from 0 to 255 (RGB)"


class NotReady(SednaError):
    """The model is not there yet, or not any more."""


class UnknownModel(ProtocolError):
    """No model of that name or version is served here."""


class NobodyWaits(SednaError):
    """The request was given up while it waited."""


class PredictionFailed(SednaError):
    """The model, or the user's code around it, raised on this request."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to the model: a body of that media type, or a picture as `predict` takes it, which has none."""

    body: Body
    media_type: str


@dataclass(frozen=True, slots=True)
class Limits:
    """`concurrency` 0: as many as the model can use."""

    concurrency: int = 0
    waiting: int = 64
    wait_s: float = 0.0  # that a request may have to wait by the present rate; 0 = as long as its deadline allows
    image_pixels: int = 50_000_000
    body_bytes: int = 64 * 1024 * 1024


class BigModel:
    """A predictor with admission in front of it. Use it from one event loop."""

    def __init__(self, limits: Limits, attached: Attached | None = None) -> None:
        self._limits = limits
        self._attached = attached
        self._predictor: AnyPredictor | None = None
        self._reason: str | None = "the model is being loaded"
        self.version = ""
        self.draining = False
        self.last_asked = 0.0  # by the event loop's clock
        self.admission = Admission(limits.concurrency or 1, limits.waiting, limits.wait_s)

    @property
    def detector(self) -> bool:
        """Whether the model is one between hooks, which takes pictures and gives rows of six numbers."""
        return isinstance(self._predictor, HookPredictor)

    @property
    def streams(self) -> int:
        """How many frames the model works on at once; 0 without one."""
        return self._predictor.streams if self._predictor is not None else 0

    @property
    def model_input(self) -> ModelInput | None:
        """What the model takes of a picture; None where that is not known."""
        return self._predictor.frame_need if self._predictor is not None else None

    @property
    def platform(self) -> str:
        """What runs the model, in the Open Inference Protocol's manner."""
        return "openvino" if self.detector else "python"

    def attach(self, predictor: AnyPredictor, version: str = "1") -> AnyPredictor | None:
        """Serve with a loaded and warmed model from now on; returns the one before it, which the caller closes.

        What is in the old model is answered by it, and what waits goes to the new one.
        """
        # More than the predictor has room for would block the event loop.
        slots = min(self._limits.concurrency or predictor.requests, predictor.requests)
        self.admission.resize(slots, predictor.streams)
        before, self._predictor, self.version = self._predictor, predictor, version
        if not self.draining:
            self._reason = None
        if self._attached is not None:
            self._attached(predictor, version)
        return before

    def not_ready(self) -> str | None:
        """Return why no request can be taken now, None if one can."""
        return self._reason

    def drain(self) -> None:
        """Stop being ready, so that no more is sent here; what comes or is under way all the same is still answered."""
        self.draining = True
        self._reason = "the worker is shutting down"

    def close(self) -> None:
        """Wait for what is in the model and let go of it; requests still waiting for a slot get NotReady."""
        self.drain()
        if self._predictor is not None:
            self._predictor.close()

    @property
    def is_pressed(self) -> bool:
        """Whether a request that came now may be refused for want of room; without a model it is refused for that."""
        return self._predictor is not None and not self.admission.has_room and self.admission.is_pressed

    def check_room(self, *, urgent: bool, left_s: float) -> None:
        """Raise Refused if a request that came now would be; before its body is read."""
        if self._predictor is not None:
            self.admission.check(urgent=urgent, left_s=left_s)

    async def predict(
        self, body: Body, media_type: str, stages: Stages, *, urgent: bool = True, left_s: float = math.inf
    ) -> list[Any]:
        """Return the result as a list of JSON values.

        `body` is of that media type, or an RGB picture (height, width, 3) of uint8; `left_s` are the seconds to its deadline.
        Raises NotReady, Refused, MalformedBody, BodyTooLarge or PredictionFailed. Cancel it to stop waiting for it: a frame
        that is in a line, here or before the model's threads, is not inferred then; the slot is given back when the model is done
        with it.
        """
        if self._predictor is None:
            raise NotReady(self._reason or "the model is being loaded")
        arrived = time.perf_counter()
        admission = self.admission
        entered = await admission.enter(urgent=urgent, left_s=left_s)
        predictor, stages.model_version = self._predictor, self.version  # they may be others by now
        stages.queue = time.perf_counter() - arrived
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def finish(answer: Any) -> None:
            admission.leave(entered, given_up=isinstance(answer, NobodyWaits))
            if not future.done():
                future.set_result(answer)

        def tell(answer: Any) -> None:
            try:  # noqa: SIM105 - contextlib's is three calls more for each request
                loop.call_soon_threadsafe(finish, answer)
            except RuntimeError:  # the loop is closed: nobody waits any more
                pass

        job = _Job(body, media_type, self._limits, stages, future.done)
        predictor.submit(lambda: job.decode(predictor), lambda result: tell(job.finish(result)))
        answer = await future
        if isinstance(answer, PredictorClosed):  # while this request waited
            raise NotReady(self._reason or "the worker is shutting down")
        if isinstance(answer, ProtocolError):
            raise answer
        if isinstance(answer, Exception):
            raise PredictionFailed(f"{type(answer).__name__}: {last_line(answer)}") from answer
        return as_json_list(answer)


@dataclass(slots=True)
class _Job:
    """What happens to one request in a thread of the model, before and after it."""

    body: Body
    media_type: str
    limits: Limits
    stages: Stages
    abandoned: Callable[[], bool]
    begun: float = field(default_factory=time.perf_counter)
    callback: Callable[[Any], Any] | None = None

    def decode(self, predictor: AnyPredictor) -> Any:
        """Return what the model is asked about. Raises what hostile bytes raise."""
        if self.abandoned():
            raise NobodyWaits("the request was given up before the model came to it")
        begun = time.perf_counter()
        self.stages.queue += begun - self.begun
        data, self.callback = self._decode(predictor)
        self.begun = time.perf_counter()
        self.stages.decode = self.begun - begun
        return data

    def finish(self, result: Any) -> Any:
        """Return the result with the request's own post-processing done, or the exception."""
        if self.callback is not None and not isinstance(result, Exception):
            try:
                result = self.callback(result)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - user code
                result = as_exception(error)
        if self.stages.decode:
            self.stages.infer = time.perf_counter() - self.begun
        return result

    def _decode(self, predictor: AnyPredictor) -> tuple[Any, Callable[[Any], Any] | None]:
        wants_frame = isinstance(predictor, HookPredictor)
        if isinstance(self.body, np.ndarray):
            return self._frame(self.body), None
        if self.media_type == JSON:
            request = sedna_json.decode_request(self.body)
            data = self._frame(request.data) if wants_frame else request.data
            return data, find_callback(request.callback)
        if self.media_type == NPY:
            array = npy.decode(self.body, max_bytes=self.limits.body_bytes)
            return (self._frame(array) if wants_frame or is_frame(array) else array), None
        header = images.probe(self.body, max_pixels=self.limits.image_pixels)
        images.check_complete(self.body)
        return decode_reduced(self.body, header, predictor.frame_need), None

    def _frame(self, data: Any) -> Any:
        """Turn RGB numbers, which is what Sedna's JSON carries, into a BGR frame."""
        try:
            array = np.asarray(data)
        except (ValueError, TypeError) as error:  # lists of unequal lengths
            raise MalformedBody(f"the data is no picture; send {A_PICTURE}") from error
        if array.ndim != 3 or array.shape[2] != 3 or not array.size:
            raise MalformedBody(f"the data has the shape {array.shape}; send {A_PICTURE}")
        if array.shape[0] * array.shape[1] > self.limits.image_pixels:
            raise BodyTooLarge(f"the picture has more than {self.limits.image_pixels} pixels; send a smaller one")
        if array.dtype.kind not in "iuf" or not (array.min() >= 0 and array.max() <= 255):  # NaN is neither
            raise MalformedBody(f"the data has other values than a picture; send {A_PICTURE}")
        return np.ascontiguousarray(array[..., ::-1], dtype=np.uint8)


def find_callback(name: str | None) -> Callable[[Any], Any] | None:
    """Return the post-processing registered under that name. Raises MalformedBody if there is none."""
    if not name:
        return None
    if not ClassFactory.is_exists(ClassType.CALLBACK, name):
        raise MalformedBody(f"no callback {name!r} is registered in the cloud worker; leave 'callback' out")
    callback: Callable[[Any], Any] = ClassFactory.get_cls(ClassType.CALLBACK, name)
    return callback


def as_json_list(result: Any) -> list[Any]:
    """Return what an estimator gave as a list. Raises PredictionFailed: the contract's result is a list, nothing else."""
    if hasattr(result, "tolist"):
        result = result.tolist()
    if isinstance(result, list | tuple):
        return list(result)
    raise PredictionFailed(f"the estimator returned {type(result).__name__}; return a list from predict")
