"""BertRouter: a text classifier that tells which questions are beyond the little model, before it is asked."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any, ClassVar

from sedna_py.errors import FilterError
from sedna_py.hard_example_mining.base import BaseFilter, Decision, Judges
from sedna_py.hard_example_mining.parameter import Parameter
from sedna_py.hard_example_mining.reading import unusable
from sedna_py.hard_example_mining.wording import compare

_MODEL = Parameter("model", str, "routellm/bert", "a Hugging Face model id or a directory with the model")
_TASK = Parameter("task", str, "text-classification", "the pipeline's task", choices=("text-classification",))
_MAX_LENGTH = Parameter("max_length", int, 512, "tokens of a text that are read; the rest is cut off", 1)
_DEVICE = Parameter("device", str, "", "where the classifier runs, e.g. cpu or cuda:0; empty: cuda if there is one")
_THRESHOLD = Parameter("threshold", float, 0.5, "a text is hard where the edge's chance is below it", 0.0, 1.0)

_EDGE_SUFFICES, _CLOUD_NEEDED = "LABEL_0", "LABEL_1"

Pipeline = Callable[..., Any]  # texts in; per text a list of {"label": ..., "score": ...}


class BertRouterFilter(BaseFilter):
    """Hard iff P(LABEL_0) / (P(LABEL_0) + P(LABEL_1)) < threshold.

    Judges the first text of a list (or a plain text) and is meant for mining-then-inference. The classifier is
    loaded by the first call, or by `load` where the first text should not wait for it. `pipeline` replaces it.
    Source: Sedna's `BertRouter`, with the model of RouteLLM (Ong et al., 2024, arXiv:2406.18665).
    """

    PARAMETERS: ClassVar[tuple[Parameter[Any], ...]] = (_MODEL, _TASK, _MAX_LENGTH, _DEVICE, _THRESHOLD)
    JUDGES: ClassVar[Judges] = Judges.TEXT
    THRESHOLD: ClassVar[str] = _THRESHOLD.name

    def __init__(self, *, pipeline: Pipeline | None = None, **parameters: object) -> None:
        self.model = _MODEL.parse(parameters.get("model", _MODEL.default))
        self.task = _TASK.parse(parameters.get("task", _TASK.default))
        self.max_length = _MAX_LENGTH.parse(parameters.get("max_length", _MAX_LENGTH.default))
        self.device = _DEVICE.parse(parameters.get("device", _DEVICE.default))
        self.threshold = _THRESHOLD.parse(parameters.get("threshold", _THRESHOLD.default))
        self._pipeline = pipeline

    def __call__(self, infer_result: Any = None) -> Decision:
        """Judge one text.

        Raises FilterError where `transformers` or `torch` is not installed and RuntimeError where the classifier fails.
        """
        text = _first_text(infer_result)
        return text if isinstance(text, Decision) else self._judge(self._classify(text))

    def load(self) -> Pipeline:
        """Return the classifier, loaded unless it is already. Raises as a call does."""
        if self._pipeline is None:
            self._pipeline = _load_pipeline(self.task, self.model, self.device)
        return self._pipeline

    def _classify(self, text: str) -> dict[str, float]:
        classifier = self.load()
        try:
            # A longer text than the model can take would otherwise fail inside it.
            labels = classifier([text], top_k=None, truncation=True, max_length=self.max_length)[0]
            scores = {item["label"]: float(item["score"]) for item in labels}
        except Exception as error:
            raise RuntimeError(f"BertRouter's model {self.model} failed: {error}; try another text or model") from error
        if missing := {_EDGE_SUFFICES, _CLOUD_NEEDED} - scores.keys():
            labels = " and ".join(sorted(missing))
            raise RuntimeError(f"BertRouter's model {self.model} has no {labels}; use a model with LABEL_0 and LABEL_1")
        return scores

    def _judge(self, scores: dict[str, float]) -> Decision:
        edge, cloud = scores[_EDGE_SUFFICES], scores[_CLOUD_NEEDED]
        total = edge + cloud
        if not math.isfinite(total) or total <= 0:
            return unusable(f"the classifier's scores are {edge:g} and {cloud:g}")
        share = edge / total
        hard = share < self.threshold
        return Decision(hard, f"chance of the edge {compare(share, '<' if hard else '>=', self.threshold)}", share)


def _first_text(data: Any) -> str | Decision:
    plain = data.tolist() if hasattr(data, "tolist") else data
    if plain is None or plain in ("", [], ()):
        return Decision(False, "nothing to judge: no text")
    first = plain[0] if isinstance(plain, (list, tuple)) else plain
    return first if isinstance(first, str) else unusable(f"{type(first).__name__} is not a text")


def _load_pipeline(task: str, model: str, device: str) -> Pipeline:
    transformers, torch = _import_optional("transformers"), _import_optional("torch")
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    numbered = chosen.removeprefix("-").isdecimal()  # transformers takes a device's number, a manifest holds only text
    try:
        loaded: Pipeline = transformers.pipeline(task, model=model, device=int(chosen) if numbered else chosen)
    except Exception as error:
        raise RuntimeError(
            f"BertRouter cannot load model {model} on {chosen}: {error}; check the parameters model and device"
        ) from error
    return loaded


def _import_optional(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise FilterError(f"BertRouter needs {name} ({error}); run: pip install transformers torch") from error
