"""BertRouter: hard iff P(LABEL_0) / (P(LABEL_0) + P(LABEL_1)) < threshold."""

import sys
from types import ModuleType

import numpy as np
import pytest

from sedna_py.errors import FilterError
from sedna_py.hard_example_mining import BertRouterFilter


class FakePipeline:
    """Answers with the given scores, and remembers how it was asked."""

    def __init__(self, **scores):
        self.scores = scores
        self.calls = []

    def __call__(self, texts, **options):
        self.calls.append((texts, options))
        return [[{"label": label, "score": score} for label, score in self.scores.items()] for _ in texts]


@pytest.mark.parametrize(
    ("threshold", "edge", "cloud", "hard"),
    [
        (0.5, 0.4, 0.6, True),
        (0.5, 0.5, 0.5, False),  # strictly below
        (0.5, 0.6, 0.4, False),
        ("0.5", 0.2, 0.2, False),  # the rest is LABEL_2's
        ("0.46", 0.45, 0.55, True),
        (0.0, 0.0, 1.0, False),
        (1, 1.0, 0.0, False),
    ],
)
def test_share_below_threshold_is_hard(threshold, edge, cloud, hard):
    pipeline = FakePipeline(LABEL_2=0.0, LABEL_1=cloud, LABEL_0=edge)
    assert BertRouterFilter(threshold=threshold, pipeline=pipeline)(["a question"]).hard is hard


def test_decision_has_the_numbers():
    decision = BertRouterFilter(pipeline=FakePipeline(LABEL_0=0.1, LABEL_1=0.3))(["a question"])
    assert decision.reason == "chance of the edge 0.25 < 0.50"
    assert decision.score == pytest.approx(0.25)


@pytest.mark.parametrize("data", [["first", "second"], ("first",), "first", np.array(["first", "second"])])
def test_first_text_is_judged(data):
    pipeline = FakePipeline(LABEL_0=1.0, LABEL_1=0.0)
    BertRouterFilter(pipeline=pipeline, max_length="64")(data)
    assert pipeline.calls == [(["first"], {"top_k": None, "truncation": True, "max_length": 64})]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "nothing to judge: no text"),
        ([], "nothing to judge: no text"),
        ("", "nothing to judge: no text"),
        ([3], "cannot judge: int is not a text"),
        ({"query": "x"}, "cannot judge: dict is not a text"),
    ],
)
def test_unusable_input_is_not_hard_and_loads_nothing(data, reason):
    pipeline = FakePipeline(LABEL_0=0.0, LABEL_1=1.0)
    decision = BertRouterFilter(pipeline=pipeline)(data)
    assert (decision.hard, decision.reason, decision.score, pipeline.calls) == (False, reason, None, [])


@pytest.mark.parametrize("scores", [(0.0, 0.0), (float("nan"), 0.5), (float("inf"), 0.5)])
def test_unusable_scores_are_not_hard(scores):
    decision = BertRouterFilter(threshold=1, pipeline=FakePipeline(LABEL_0=scores[0], LABEL_1=scores[1]))(["x"])
    assert not decision.hard
    assert decision.reason.startswith("cannot judge: the classifier's scores are")


def test_model_without_the_labels_is_named():
    mining_filter = BertRouterFilter(model="other/model", pipeline=FakePipeline(POSITIVE=1.0))
    with pytest.raises(RuntimeError, match="other/model has no LABEL_0 and LABEL_1"):
        mining_filter(["x"])


def test_failing_classifier_is_a_runtime_error():
    def broken(texts, **options):
        raise IndexError("out of range in self")

    with pytest.raises(RuntimeError, match="routellm/bert failed: out of range in self"):
        BertRouterFilter(pipeline=broken)(["x"])


@pytest.fixture
def packages(monkeypatch):
    """Stand-ins for transformers and torch; returns what the pipeline was made from."""
    made = []
    transformers, torch = ModuleType("transformers"), ModuleType("torch")

    def pipeline(task, **options):
        if options["model"] == "no/such":
            raise OSError("no/such is not a model")
        made.append((task, options))
        return FakePipeline(LABEL_0=1.0, LABEL_1=0.0)

    transformers.pipeline = pipeline
    torch.cuda = ModuleType("torch.cuda")
    torch.cuda.is_available = lambda: True
    monkeypatch.setitem(sys.modules, "transformers", transformers)
    monkeypatch.setitem(sys.modules, "torch", torch)
    return made


@pytest.mark.parametrize(
    ("parameters", "device"), [({}, "cuda"), ({"device": "cpu"}, "cpu"), ({"device": "1"}, 1), ({"device": -1}, -1)]
)
def test_classifier_is_loaded_once_by_the_first_text(packages, monkeypatch, parameters, device):
    monkeypatch.delenv("BACKEND_TYPE", raising=False)
    mining_filter = BertRouterFilter(model="some/model", **parameters)
    assert packages == []
    mining_filter(["a"])
    mining_filter(["b"])
    assert packages == [("text-classification", {"model": "some/model", "device": device})]


def test_model_that_cannot_be_loaded_is_a_runtime_error(packages):
    with pytest.raises(RuntimeError, match="cannot load model no/such on cuda: no/such is not a model"):
        BertRouterFilter(model="no/such").load()


@pytest.mark.parametrize("missing", ["transformers", "torch"])
def test_missing_package_says_what_to_install(packages, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    mining_filter = BertRouterFilter()
    with pytest.raises(FilterError, match=rf"needs {missing} .*pip install transformers torch"):
        mining_filter(["x"])
