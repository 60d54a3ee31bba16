"""What is read from the provider, as the official SDK lists it from the stand-in, and from the broker."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import aio_pika
import pytest

from ops.verify import outside
from ops.verify.outside import Management, ProviderSettings
from tests.conftest import Vhost
from tests.sandbox.stripe.conftest import SECRET_KEY, running


async def test_the_provider_is_read_page_by_page_and_only_what_is_ours(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(outside, "PAGE", 2)
    async with running(tmp_path) as standin:
        ours = []
        for _ in range(5):
            metadata = {"system": "boxoffice", "payment_id": str(uuid4()), "booking_id": str(uuid4())}
            ours.append(await standin.paid(metadata=metadata))
        await standin.paid()
        refund_id, attempt_id = str(uuid4()), str(uuid4())
        refund = await standin.client.v1.refunds.create_async(
            {
                "payment_intent": ours[0].id,
                "amount": 2000,
                "metadata": {"system": "boxoffice", "refund_id": refund_id, "attempt_id": attempt_id},
            }
        )
        by_hand = await standin.client.v1.refunds.create_async({"payment_intent": ours[1].id, "amount": 1})
        shown = await outside.read_provider(ProviderSettings(api_key=SECRET_KEY, api_base=standin.url))
    assert {intent.ref for intent in shown.intents} == {intent.id for intent in ours}
    assert {(intent.status, intent.received_minor, intent.currency) for intent in shown.intents} == {
        ("succeeded", 5000, "EUR")
    }
    found = {each.ref: each for each in shown.refunds}
    assert (found[refund.id].refund_id, found[refund.id].attempt_id) == (refund_id, attempt_id)
    assert (found[by_hand.id].refund_id, found[by_hand.id].amount_minor) == (None, 1)
    charges = {intent.charge for intent in shown.intents}
    assert sum(movement.amount_minor for movement in shown.movements if movement.source in charges) == 25000
    assert len(shown.events) >= 14
    assert not shown.livemode


class Samples(Management):
    """The broker's statistics as they come, one sample at each look."""

    def __init__(self, *unacknowledged: int) -> None:
        super().__init__("http://admin:pw@127.0.0.1:1", "amqp://admin:pw@127.0.0.1:1/")
        self.samples = list(unacknowledged)

    async def of_vhost(self, what: str) -> Any:
        assert what == "queues"
        shown = self.samples.pop(0) if len(self.samples) > 1 else self.samples[0]
        return [{"name": "refund.parked-of-none", "messages_unacknowledged": shown, "arguments": {}}]


@pytest.mark.parametrize(
    ("samples", "settled", "shown"),
    [((1, 0), True, 0), ((1, 1, 2), True, 2), ((1, 0), False, 1), ((0, 1), True, 0)],
)
async def test_a_sample_of_a_message_that_was_being_worked_on_is_no_difference(
    broker_vhost: Vhost, monkeypatch: pytest.MonkeyPatch, samples: tuple[int, ...], *, settled: bool, shown: int
) -> None:
    """What stays unacknowledged is one: it is in every sample."""
    monkeypatch.setattr(outside, "STATISTICS_AGE_S", 2)
    async with await aio_pika.connect(broker_vhost.url()) as connection, connection.channel() as channel:
        await channel.declare_queue("refund.parked-of-none", durable=True)
    (state,) = await outside.read_queues(broker_vhost.url(), Samples(*samples), settled=settled)
    assert (state.ready, state.unacknowledged) == (0, shown)
