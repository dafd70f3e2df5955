"""Open Inference Protocol v2, `POST /v2/models/{name}/infer`: tensors in, tensors out, JSON or the binary extension."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sedna_py.errors import EstimatorError
from sedna_py.protocol.media_types import JPEG, JSON
from sedna_py.protocol.open_inference import json_form
from sedna_py.protocol.open_inference.binary_form import CONTENT_TYPE, HEADER_LENGTH, parse_header_length
from sedna_py.protocol.open_inference.metadata import error_document
from sedna_py.protocol.open_inference.pictures import IMAGE
from sedna_py.protocol.open_inference.request import InferRequest, decode_request
from sedna_py.protocol.open_inference.response import InferResponse, encode_response
from workers.cloud.big_model import Asked, BigModel, PredictionFailed, UnknownModel
from workers.cloud.exchange import Question, Reply
from workers.cloud.failures import Failure
from workers.cloud.open_inference import Picture, check_outputs, has_texts, read_pictures, read_texts, write_results
from workers.cloud.stages import NAMES, Stages

MAX_PICTURES: Final = 64
_LONG_TEXT: Final = 32 * 1024  # bytes of JSON
_LONG_AT_ONCE: Final = 2
_UNPROCESSABLE: Final = 422
_BAD_REQUEST: Final = 400


@dataclass(frozen=True, slots=True)
class OpenInferenceLimits:
    """Of one request. `together`: how many of its pictures may be asked about at once; the rest comes after them."""

    pictures: int = MAX_PICTURES
    pixels: int = 50_000_000
    together: int = 8


class OpenInferenceDialect:
    """The one model under its `name`; each picture of a request is a question of its own to it."""

    def __init__(self, model: BigModel, name: str, limits: OpenInferenceLimits) -> None:
        self._model = model
        self._name = name
        self._limits = limits
        self._long_texts = asyncio.Semaphore(_LONG_AT_ONCE)

    async def answer(self, question: Question, path_params: Mapping[str, Any]) -> Reply:
        """Ask the model about each picture of the request, or about its texts."""
        self.check(path_params)
        begun = time.perf_counter()
        request = await self._read(question)
        wanted = request.output_names()
        check_outputs(wanted)
        if has_texts(request):
            asked = [Asked(json_form.dump({"data": read_texts(request)}), JSON)]
        else:
            pictures = read_pictures(request, max_pictures=self._limits.pictures, max_pixels=self._limits.pixels)
            asked = [_asked(picture) for picture in pictures]
        parsed = time.perf_counter() - begun
        results = await self._ask_all(asked, question)
        question.stages.decode += parsed
        begun = time.perf_counter()
        reply = self._reply(request, results, wanted, question.stages.model_version)
        question.stages.encode = time.perf_counter() - begun
        return reply

    def refuse(self, failure: Failure) -> Reply:
        """Say it in the protocol's own form."""
        # The protocol has no 422: what a client got wrong is 400.
        status = _BAD_REQUEST if failure.status == _UNPROCESSABLE else failure.status
        return Reply(json_form.dump(error_document(failure.text)), status=status, headers=failure.headers())

    def check(self, path: Mapping[str, Any]) -> None:
        """Raise UnknownModel for the name or version of an address that is not served."""
        name, version = path.get("model", self._name), path.get("version", self._model.version)
        if name != self._name:
            raise UnknownModel(f"there is no model {name[:80]!r}; this server has {self._name!r}")
        if version != self._model.version:
            raise UnknownModel(f"{name!r} has no version {version[:20]!r}; it is version {self._model.version!r}")

    async def _read(self, question: Question) -> InferRequest:
        length = parse_header_length(question.headers.get(HEADER_LENGTH.lower()))
        text = len(question.body) if length is None else length
        if text <= _LONG_TEXT:
            return decode_request(question.body, length, raw_input=IMAGE)
        # A picture written out in numbers takes a tenth of a second to read: others are answered between its parts.
        async with self._long_texts:
            return await asyncio.to_thread(decode_request, question.body, length, raw_input=IMAGE)

    async def _ask_all(self, asked: Sequence[Asked], question: Question) -> list[list[Any]]:
        if len(asked) == 1:
            return [await self._ask(asked[0], question, question.stages)]
        turns = asyncio.Semaphore(self._limits.together)
        every = [Stages() for _ in asked]

        async def one(index: int) -> list[Any]:
            async with turns:
                return await self._ask(asked[index], question, every[index])

        tasks = [asyncio.create_task(one(index)) for index in range(len(asked))]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()  # where one has failed, nobody wants the others
            for name in NAMES[1:]:
                setattr(question.stages, name, max(getattr(stages, name) for stages in every))
            question.stages.model_version = every[-1].model_version

    async def _ask(self, asked: Asked, question: Question, stages: Stages) -> list[Any]:
        return await self._model.predict(
            asked.body, asked.media_type, stages, urgent=question.about.urgent, left_s=question.left_s()
        )

    def _reply(self, request: InferRequest, results: list[list[Any]], wanted: tuple[str, ...], version: str) -> Reply:
        try:
            outputs = write_results(results, wanted)
        except EstimatorError as error:
            raise PredictionFailed(str(error)) from error
        response = InferResponse(self._name, tuple(outputs), version, request.id)
        binary = request.binary_names(tensor.name for tensor in outputs)
        body, length = encode_response(response, binary)
        if length is None:
            return Reply(body)
        return Reply(body, CONTENT_TYPE.encode(), headers=[(HEADER_LENGTH.lower().encode(), str(length).encode())])


def _asked(picture: Picture) -> Asked:
    return Asked(picture, JPEG if isinstance(picture, bytes) else "")
