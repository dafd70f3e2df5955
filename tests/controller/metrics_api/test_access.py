"""Who is let in, with an API server that a test plays."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from controller.errors import Forbidden, Unavailable
from controller.metrics_api.access import ALLOWED_S, MOST_TOKENS, TOKEN_S, Access
from controller.metrics_api.answers import Refusal
from controller.metrics_api.front_proxy import Caller, FrontProxy
from controller.metrics_api.paths import MetricPath

PATH = MetricPath("v1beta2", "shop", "pods", "*", "sedna_concurrency")
HPA = Caller("hpa", groups=("system:authenticated",))


class Reviews:
    """Knows the token `good`, and lets `hpa` get metrics of the namespace shop."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.failure: Exception | None = None

    async def review(self, group: str, plural: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append((f"{group}/{plural}", spec))
        if self.failure is not None:
            raise self.failure
        if plural == "tokenreviews":
            user = {"username": "prometheus", "uid": "7", "groups": ["system:authenticated"], "extra": {"a": ["b"]}}
            return {"authenticated": True, "user": user} if spec["token"] == "good" else {"error": "no"}
        attributes = spec.get("resourceAttributes") or spec["nonResourceAttributes"]
        return {"allowed": spec["user"] == "hpa" and attributes.get("namespace", "shop") == "shop"}


def run(scenario: Callable[[Access, Reviews, list[float]], Awaitable[None]]) -> None:
    async def main() -> None:
        reviews, now = Reviews(), [0.0]
        await scenario(Access(reviews, lambda: now[0]), reviews, now)

    asyncio.run(main())


async def refusal(work: Awaitable[Any]) -> int:
    with pytest.raises(Refusal) as caught:
        await work
    return caught.value.status


def test_a_token_is_asked_about_once_in_a_while():
    async def scenario(access: Access, reviews: Reviews, now: list[float]) -> None:
        headers = [("Authorization", "Bearer good")]
        caller = await access.caller([], headers)
        assert (caller.name, caller.uid, caller.extra) == ("prometheus", "7", (("a", ("b",)),))
        assert await access.caller([], headers) == caller
        assert reviews.asked == [("authentication.k8s.io/tokenreviews", {"token": "good"})]
        now[0] = TOKEN_S + 1
        await access.caller([], headers)
        assert len(reviews.asked) == 2

    run(scenario)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "Bearer bad")],
        [("Authorization", "Basic good")],
        [("Authorization", "Bearer " + "x" * 100_000)],
        [("Authorization", "Bearer good"), ("Authorization", "Bearer good")],
        [("X-Remote-User", "system:admin"), ("X-Remote-Group", "system:masters")],
    ],
)
def test_nobody_else_is_known(headers):
    async def scenario(access: Access, reviews: Reviews, now: list[float]) -> None:
        access.proxy = FrontProxy("PEM", ("front-proxy-client",))
        assert await refusal(access.caller([], headers)) == 401
        assert await refusal(access.caller(["somebody"], headers)) == 401

    run(scenario)


def test_headers_count_with_the_front_proxys_certificate():
    async def scenario(access: Access, reviews: Reviews, now: list[float]) -> None:
        access.proxy = FrontProxy("PEM", ("front-proxy-client",))
        headers = [("X-Remote-User", "hpa"), ("Authorization", "Bearer bad")]
        assert (await access.caller(["front-proxy-client"], headers)).name == "hpa"
        assert reviews.asked == []

    run(scenario)


def test_whether_a_caller_may_is_asked_once_in_a_while():
    async def scenario(access: Access, reviews: Reviews, now: list[float]) -> None:
        for _ in range(3):
            await access.check(HPA, "/any", PATH)
        [(what, spec)] = reviews.asked
        assert what == "authorization.k8s.io/subjectaccessreviews"
        assert spec["resourceAttributes"] == {
            "namespace": "shop",
            "verb": "get",
            "group": "custom.metrics.k8s.io",
            "version": "v1beta2",
            "resource": "pods",
            "subresource": "sedna_concurrency",
            "name": "*",
        }
        now[0] = ALLOWED_S + 1
        await access.check(HPA, "/any", PATH)
        assert len(reviews.asked) == 2

    run(scenario)


def test_who_may_not_is_told_what():
    async def scenario(access: Access, reviews: Reviews, now: list[float]) -> None:
        elsewhere = MetricPath("v1beta2", "other", "pods", "*", "sedna_concurrency")
        with pytest.raises(Refusal, match="user hpa may not get pods/sedna_concurrency in namespace other") as caught:
            await access.check(HPA, "/any", elsewhere)
        assert caught.value.status == 403
        assert await refusal(access.check(Caller("somebody"), "/apis", None)) == 403
        assert reviews.asked[-1][1]["nonResourceAttributes"] == {"path": "/apis", "verb": "get"}
        await access.check(HPA, "/any", PATH)

    run(scenario)


@pytest.mark.parametrize("failure", [Unavailable("away"), Forbidden("no tokenreviews", 403)])
def test_an_api_server_that_does_not_answer_lets_nobody_in_and_is_asked_again(failure):
    async def scenario(access: Access, reviews: Reviews, now: list[float]) -> None:
        reviews.failure = failure
        assert await refusal(access.caller([], [("Authorization", "Bearer good")])) == 503
        assert await refusal(access.check(HPA, "/any", PATH)) == 503
        reviews.failure = None
        await access.check(HPA, "/any", PATH)

    run(scenario)


def test_what_is_remembered_is_bounded():
    async def scenario(access: Access, reviews: Reviews, now: list[float]) -> None:
        for number in range(MOST_TOKENS * 2):
            assert await refusal(access.caller([], [("Authorization", f"Bearer bad{number}")])) == 401
        assert len(access._tokens) <= MOST_TOKENS

    run(scenario)
