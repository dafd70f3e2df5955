"""The background of the balancer: lookups that fail, and what they leave standing."""

from __future__ import annotations

import asyncio
import random

from sedna_py.client.balancer import Balancer, BalancerPolicy, Verdict
from sedna_py.client.pod_lookup import PodLookup, PodSource
from sedna_py.client.pod_watch import PodWatch, WatchPolicy
from tests.sedna_py.client.played_pods import Names, until


def watched(names: Names, policy: WatchPolicy, verdict: Verdict = Verdict.ANSWERED):
    """Run a scenario(balancer, watch) with a watch over played names; its probes all end with `verdict`."""

    def run(scenario):
        async def main():
            loop, chance = asyncio.get_running_loop(), random.Random(1)
            balancer = Balancer(BalancerPolicy(quarantine_s=0.01), chance)

            async def probe(_pod):
                probes.append(loop.time())
                return verdict

            lookup = PodLookup(PodSource("x", 1, names), 1.0, chance)
            watch = PodWatch(balancer, lookup, probe, policy, chance, loop.time)
            watch.start()
            try:
                await scenario(balancer, watch)
            finally:
                watch.close()

        probes: list[float] = []
        asyncio.run(main())
        return probes

    return run


def test_a_dns_that_stops_answering_keeps_the_pods_for_a_while():
    names = Names(["a:1", "b:1"])

    async def scenario(balancer, watch):
        await until(lambda: balancer.usable, "the pods")
        names.addresses = OSError(110, "timed out")
        asked = names.asked
        await until(lambda: names.asked > asked + 1, "failed lookups")
        assert len(balancer.addresses) == 2
        assert watch.trouble == "DNS: timed out"
        await until(lambda: not balancer.addresses, "the old answer to be dropped")
        names.addresses = ["b:1"]
        await until(lambda: balancer.usable, "the pods again")
        assert watch.trouble == ""

    watched(names, WatchPolicy(lookup_s=0.01, max_lookup_s=0.02, stale_s=0.2))(scenario)


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
    names = Names(OSError("down"))

    async def scenario(balancer, watch):
        await asyncio.sleep(0.3)

    watched(names, WatchPolicy(lookup_s=0.02, max_lookup_s=10))(scenario)
    assert 2 <= names.asked <= 5  # after 0.04, 0.08, 0.16 s


def test_pods_that_fail_their_probes_are_probed_ever_more_rarely():
    async def scenario(balancer, watch):
        await until(lambda: balancer.next_due() and len(balancer.addresses) == 20, "the pods")
        await asyncio.sleep(0.2)
        assert not balancer.usable

    names = Names([f"p{i}:1" for i in range(20)])
    probes = watched(names, WatchPolicy(lookup_s=0.01), Verdict.FAILED)(scenario)
    assert 40 <= len(probes) <= 20 * 6  # at 0, 0.01, 0.03, 0.07, 0.15 s
