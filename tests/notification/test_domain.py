"""The heart: every pair of status and trigger, the schedules, the cut-offs, and which addresses are public."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notification.addresses import is_public
from notification.domain import (
    DELIVERIES,
    LONGEST_RETRY_AFTER,
    MAIL_DELAYS,
    MESSAGES,
    WEBHOOK_DELAYS,
    DeliveryStatus,
    DeliveryTrigger,
    IllegalTransition,
    MessageStatus,
    MessageTrigger,
    Tier,
    after,
    cut_offs,
    delivery_after,
    next_mail_at,
    next_webhook_at,
    percent_back,
)

NOW = datetime(2031, 3, 1, 12, 0, tzinfo=UTC)
START = datetime(2031, 3, 30, 18, 0, tzinfo=UTC)
TIERS = [Tier(48, 100), Tier(24, 50)]


@pytest.mark.parametrize(("status", "trigger"), list(product(MessageStatus, MessageTrigger)))
def test_only_a_queued_mail_changes(status: MessageStatus, trigger: MessageTrigger) -> None:
    if status is MessageStatus.QUEUED:
        assert after(status, trigger) is MESSAGES[status, trigger]
    else:
        with pytest.raises(IllegalTransition) as refused:
            after(status, trigger)
        assert refused.value.extra == {"state": status.value}


@pytest.mark.parametrize(("status", "trigger"), list(product(DeliveryStatus, DeliveryTrigger)))
def test_a_webhook_is_called_while_pending_and_redelivered_afterwards(
    status: DeliveryStatus, trigger: DeliveryTrigger
) -> None:
    if (status is DeliveryStatus.PENDING) is (trigger is not DeliveryTrigger.REDELIVERY):
        assert delivery_after(status, trigger) is DELIVERIES[status, trigger]
    else:
        with pytest.raises(IllegalTransition):
            delivery_after(status, trigger)


def test_a_mail_is_tried_for_a_night_with_growing_pauses_and_then_given_up() -> None:
    times = [next_mail_at(attempts, NOW) for attempts in range(1, len(MAIL_DELAYS) + 1)]
    assert times == [NOW + delay for delay in MAIL_DELAYS]
    assert all(earlier <= later for earlier, later in pairwise(MAIL_DELAYS))
    assert sum(MAIL_DELAYS, timedelta()) > timedelta(hours=24)
    assert next_mail_at(len(MAIL_DELAYS) + 1, NOW) is None


def test_the_schedule_of_calls_is_that_of_the_specification() -> None:
    # standardwebhooks, spec "Delivery and retries": at once, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h
    seconds = [int(delay.total_seconds()) for delay in WEBHOOK_DELAYS]
    assert seconds == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert next_webhook_at(9, NOW) == NOW + timedelta(hours=24)
    assert next_webhook_at(10, NOW) is None


def test_a_receiver_may_ask_for_later_but_neither_for_sooner_nor_for_never() -> None:
    assert next_webhook_at(1, NOW, timedelta(minutes=2)) == NOW + timedelta(minutes=2)
    assert next_webhook_at(2, NOW, timedelta(seconds=1)) == NOW + timedelta(minutes=5)
    assert next_webhook_at(1, NOW, timedelta(days=400)) == NOW + LONGEST_RETRY_AFTER


def test_each_boundary_belongs_to_the_customer() -> None:
    microsecond = timedelta(microseconds=1)
    for hours, at_it, after_it in ((48, 100, 50), (24, 50, 0)):
        boundary = START - timedelta(hours=hours)
        assert percent_back(TIERS, START, boundary) == at_it
        assert percent_back(TIERS, START, boundary + microsecond) == after_it
    assert percent_back([], START, NOW) == 0


def test_cut_offs_are_elapsed_hours_also_where_the_clocks_change() -> None:
    assert cut_offs([*TIERS, Tier(0, 0)], START) == [
        (datetime(2031, 3, 28, 18, 0, tzinfo=UTC), 100),
        (datetime(2031, 3, 29, 18, 0, tzinfo=UTC), 50),
    ]


@given(st.lists(st.builds(Tier, st.integers(0, 500), st.integers(0, 100)), max_size=5), st.integers(-600, 10))
def test_a_later_cancellation_never_gets_more(tiers: list[Tier], hours: int) -> None:
    # a policy's tiers fall in hours and in percent; contracts.booking says so
    falling = [
        Tier(hour, percent)
        for hour, percent in zip(
            sorted({tier.hours_before for tier in tiers}, reverse=True),
            sorted({tier.percent for tier in tiers}, reverse=True),
            strict=False,
        )
    ]
    at = START + timedelta(hours=hours)
    assert percent_back(falling, START, at) >= percent_back(falling, START, at + timedelta(hours=1))


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104  # an address that is judged, not one that is bound
        "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254",
        "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.9", "192.0.2.1", "192.88.99.1", "192.168.0.1",
        "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:a00:1", "::7f00:1", "64:ff9b::7f00:1",
        "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1",
        "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
        "2130706433", "0177.0.0.1", "0x7f.1", "localhost", "", "8.8.8.8/32",
    ],
)  # fmt: skip
def test_no_address_of_ours_is_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "2a00:1450::1"]
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@given(st.sampled_from(["10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10", "0.0.0.0/8"]), st.data())
def test_an_internal_address_does_not_become_public_by_being_wrapped(network: str, data: st.DataObject) -> None:
    inside = IPv4Network(network)
    address = IPv4Address(data.draw(st.integers(int(inside[0]), int(inside[-1]))))
    wrapped = [
        int(address),
        0xFFFF << 32 | int(address),
        0x64FF9B << 96 | int(address),
        0x2002 << 112 | int(address) << 80,
    ]
    assert not is_public(str(address))
    assert not any(is_public(str(IPv6Address(number))) for number in wrapped)
