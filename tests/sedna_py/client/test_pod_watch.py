"""The background of the balancer: lookups that fail, and what they leave standing."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from itertools import pairwise

from sedna_py.client.balancer import Balancer, BalancerPolicy, Verdict
from sedna_py.client.pod_lookup import PodLookup, PodSource
from sedna_py.client.pod_watch import PodWatch, WatchPolicy
from tests.sedna_py.client.played_pods import Names, until


def watched(names, policy: WatchPolicy, verdict: Verdict = Verdict.ANSWERED, *, ahead=lambda: 0.0, probed=None):
    """Run a scenario(balancer, watch) with a watch over played names; its probes all end with `verdict`.

    Its clock is `ahead()` seconds ahead; `probed` is called with the address and the time of each probe.
    """

    def run(scenario):
        async def main():
            loop, chance = asyncio.get_running_loop(), random.Random(1)
            balancer = Balancer(BalancerPolicy(quarantine_s=0.01), chance)

            async def probe(pod):
                if probed is not None:
                    probed(pod.address, loop.time())
                return verdict

            lookup = PodLookup(PodSource("x", 1, names), 1.0, chance)
            watch = PodWatch(balancer, lookup, probe, policy, chance, lambda: loop.time() + ahead())
            watch.start()
            try:
                await scenario(balancer, watch)
            finally:
                watch.close()

        asyncio.run(main())

    return run


def test_a_dns_that_stops_answering_keeps_the_pods_for_a_while():
    names = Names(["a:1", "b:1"])
    ahead = 0.0

    async def scenario(balancer, watch):
        nonlocal ahead
        await until(lambda: balancer.usable, "the pods")
        names.addresses = OSError(110, "timed out")
        asked = names.asked
        await until(lambda: names.asked > asked + 1, "failed lookups")
        assert len(balancer.addresses) == 2
        assert watch.trouble == "DNS: timed out"
        ahead = 61.0
        await until(lambda: not balancer.addresses, "the old answer to be dropped")
        names.addresses = ["b:1"]
        await until(lambda: balancer.usable, "the pods again")
        assert watch.trouble == ""

    watched(names, WatchPolicy(lookup_s=0.01, max_lookup_s=0.02, stale_s=60), ahead=lambda: ahead)(scenario)


def test_a_service_without_pods_has_none_at_once_and_new_ones_soon():
    names = Names(["a:1"])

    async def scenario(balancer, watch):
        await until(lambda: balancer.usable, "the pod")
        names.addresses = []
        await until(lambda: not balancer.addresses, "the pod to go")
        asked = names.asked
        await until(lambda: names.asked > asked + 3, "further lookups, not one a minute")
        names.addresses = ["b:1"]
        await until(lambda: balancer.usable, "the new pod")

    watched(names, WatchPolicy(lookup_s=0.01, max_lookup_s=60, stale_s=60))(scenario)


def test_failed_lookups_back_off():
    asked = []

    def down(host, port):
        asked.append(time.monotonic())
        raise OSError("down")

    async def scenario(balancer, watch):
        await until(lambda: len(asked) >= 4, "four lookups")

    watched(down, WatchPolicy(lookup_s=0.02, max_lookup_s=10))(scenario)
    pauses = [later - before for before, later in pairwise(asked)]
    # However late any of them was, the next one came later: after 0.04, 0.08, 0.16 s, give or take a fifth.
    assert all(pause >= 0.8 * 0.04 * 2**turn for turn, pause in enumerate(pauses)), pauses


def test_pods_that_fail_their_probes_are_probed_ever_more_rarely():
    probes: dict[str, list[float]] = defaultdict(list)

    async def scenario(balancer, watch):
        await until(lambda: len(probes) == 20 and min(map(len, probes.values())) >= 5, "five probes of each pod")
        assert not balancer.usable

    names = Names([f"p{i}:1" for i in range(20)])
    policy = WatchPolicy(lookup_s=0.01)
    watched(names, policy, Verdict.FAILED, probed=lambda address, at: probes[address].append(at))(scenario)
    for times in probes.values():
        pauses = [later - before for before, later in pairwise(times)]
        assert all(pause >= 0.01 * 2**turn for turn, pause in enumerate(pauses)), pauses
