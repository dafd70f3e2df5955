"""Sedna's own protocol: `POST /{prefix}/predict`, with a frame in any of the formats that the edge may send."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import orjson

from sedna_py.errors import MalformedBody
from sedna_py.protocol import sedna_json
from sedna_py.protocol.headers import MODEL_INPUT
from sedna_py.protocol.media_types import ENCODED, parse_content_type
from workers.cloud.big_model import BigModel, PredictionFailed
from workers.cloud.exchange import Question, Reply
from workers.cloud.failures import Failure
from workers.incoming import Field

_NULL: Final = b"null"
_MODEL_INPUT: Final = MODEL_INPUT.lower().encode()
_PLAIN: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME


class SednaDialect:
    """Upstream's JSON, or an encoded frame as the body itself; the answer is `{"result": [...]}`."""

    def __init__(self, model: BigModel) -> None:
        self._model = model

    async def answer(self, question: Question, path_params: Mapping[str, Any]) -> Reply:
        """Ask the model about the body."""
        media_type = parse_content_type(question.headers.get("content-type"))
        result = await self._model.predict(
            question.body, media_type, question.stages, urgent=question.about.urgent, left_s=question.left_s()
        )
        begun = time.perf_counter()
        body = encode_result(result)
        question.stages.encode = time.perf_counter() - begun
        return Reply(body, headers=self._model_input() if media_type in ENCODED else [])

    def _model_input(self) -> list[Field]:
        """Tell who sent an encoded picture how much of the next one the model can use; after a reload that is another size."""
        needed = self._model.model_input
        return [] if needed is None else [(_MODEL_INPUT, needed.render().encode("ascii"))]

    def refuse(self, failure: Failure) -> Reply:
        """Say it as upstream's framework does, with a cause to count by."""
        return refusal(failure)


def refusal(failure: Failure) -> Reply:
    """Return what a client of Sedna's protocol is told of a failure."""
    body = orjson.dumps(sedna_json.error_body(failure.cause, failure.detail))
    return Reply(body, status=failure.status, headers=failure.headers())


def encode_result(result: list[Any]) -> bytes:
    """Return the reply's body. Raises PredictionFailed for what JSON cannot carry: that is the estimator's doing."""
    try:
        body = orjson.dumps({"result": result}, option=_PLAIN)
    except TypeError:  # sets, exotic numpy types: what orjson refuses may still be a list of something
        body = _NULL
    if _NULL not in body:
        return body
    try:
        # orjson writes null for NaN, which is no result.
        return sedna_json.encode_reply(result)
    except MalformedBody as error:
        raise PredictionFailed(f"the result cannot be sent: {error}") from error
