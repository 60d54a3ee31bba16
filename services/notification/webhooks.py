"""Endpoints of CRM systems, and the deliveries that they are owed: one row for each endpoint and event."""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis import audit
from chassis.crypto import Sealer
from chassis.db import Transaction, table
from chassis.errors import Conflict, NotFound
from sqlalchemy import ColumnElement, DateTime, Delete, Row, bindparam, delete, func, literal, select, tuple_, update
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import UUID as SQL_UUID
from sqlalchemy.dialects.postgresql import insert

from notification.crm import Answer
from notification.domain import (
    DeliveryStatus,
    DeliveryTrigger,
    EndpointStatus,
    delivery_after,
    next_webhook_at,
)
from notification.models import WEBHOOKS, WebhookDelivery, WebhookEndpoint
from notification.payloads import AboutEvent, Announced, payload, type_of, webhook_id
from notification.schemas import (
    SECRET_PREFIX,
    Deliveries,
    DeliveryOut,
    EndpointCreated,
    EndpointIn,
    EndpointOut,
    Endpoints,
)

SEALED_AS = "webhook.secret"
PAGE = 100


async def announce(tx: Transaction, event: Announced) -> None:
    """Owes `event` to every active endpoint that wants its type, in one statement.

    A delivery's id follows from its endpoint and its event, as the database cannot ask our source of ids.
    """
    told = {
        "webhook_id": webhook_id(event),
        "type": type_of(type(event)),
        "booking_id": None if isinstance(event, AboutEvent) else event.booking_id,
        "body": payload(event),
        "now": tx.now,
    }
    await tx.execute(_ANNOUNCE, told)


def _announce() -> Any:
    endpoints, deliveries = table(WebhookEndpoint), table(WebhookDelivery)
    told = {
        name: bindparam(name, type_=deliveries.c[name].type) for name in ("webhook_id", "type", "booking_id", "body")
    }
    now = bindparam("now", type_=deliveries.c.created_at.type)
    owed = {
        "id": sql_cast(func.md5(func.concat(endpoints.c.id, told["webhook_id"])), SQL_UUID),
        "endpoint_id": endpoints.c.id,
        **told,
        "status": literal(DeliveryStatus.PENDING.value),
        "attempts": literal(0),
        "next_attempt_at": now,
        "created_at": now,
    }
    # Held, so that an endpoint which is just being disabled is not left with a delivery that nobody closes.
    wanted = (
        select(*owed.values())
        .where(endpoints.c.status == EndpointStatus.ACTIVE, told["type"] == endpoints.c.event_types.any_())
        .with_for_update(read=True)
    )
    return insert(deliveries).from_select(list(owed), wanted).on_conflict_do_nothing()


_ANNOUNCE = _announce()
"""Built once, as each event runs it."""


async def register(tx: Transaction, body: EndpointIn, actor: str, sealer: Sealer) -> EndpointCreated:
    """Stores an endpoint whose address the guard has judged. The secret is shown in this answer and never again."""
    secret = body.secret or SECRET_PREFIX + base64.b64encode((tx.new_secret() + tx.new_secret()).encode()).decode()
    endpoints = table(WebhookEndpoint)
    stored = await tx.execute(
        insert(endpoints)
        .values(
            id=tx.new_id(),
            url=body.url,
            secret=sealer.seal(secret, SEALED_AS),
            event_types=sorted(set(body.event_types)),
            status=EndpointStatus.ACTIVE,
            created_at=tx.now,
        )
        .returning(endpoints)
    )
    row = stored.one()
    await audit.record(
        tx,
        actor=actor,
        action="webhook_endpoint.register",
        subject=f"webhook_endpoint/{row.id}",
        after={"event_types": row.event_types},
    )
    return EndpointCreated(**EndpointOut.model_validate(row).model_dump(), secret=secret)


async def all_endpoints(tx: Transaction) -> Endpoints:
    """Every endpoint, oldest first."""
    endpoints = table(WebhookEndpoint)
    found = await tx.execute(select(endpoints).order_by(endpoints.c.id))
    return Endpoints(items=[EndpointOut.model_validate(row) for row in found])


async def remove(tx: Transaction, endpoint_id: UUID, actor: str) -> None:
    """Removes an endpoint with its deliveries. Raises NotFound."""
    endpoints = table(WebhookEndpoint)
    removed = await tx.execute(delete(endpoints).where(endpoints.c.id == endpoint_id).returning(endpoints.c.id))
    if removed.first() is None:
        raise NotFound("webhook endpoint")
    await audit.record(tx, actor=actor, action="webhook_endpoint.remove", subject=f"webhook_endpoint/{endpoint_id}")


async def enable(tx: Transaction, endpoint_id: UUID, actor: str) -> EndpointOut:
    """Lets a disabled endpoint be called again, for what happens from now on. Raises NotFound; Conflict for an active one."""
    endpoints = table(WebhookEndpoint)
    is_disabled = (endpoints.c.id == endpoint_id, endpoints.c.status == EndpointStatus.DISABLED)
    enabled = await tx.execute(
        update(endpoints)
        .where(*is_disabled)
        .values(status=EndpointStatus.ACTIVE, disabled_reason=None)
        .returning(endpoints)
    )
    if (row := enabled.first()) is None:
        await _endpoint(tx, endpoint_id)
        raise Conflict("The webhook endpoint is active.", state=EndpointStatus.ACTIVE)
    await audit.record(tx, actor=actor, action="webhook_endpoint.enable", subject=f"webhook_endpoint/{endpoint_id}")
    return EndpointOut.model_validate(row)


async def deliveries_of(
    tx: Transaction, endpoint_id: UUID, before: UUID | None, status: DeliveryStatus | None
) -> Deliveries:
    """A page of an endpoint's deliveries, newest first, from after the delivery `before` on. Raises NotFound for the endpoint."""
    await _endpoint(tx, endpoint_id)
    deliveries = table(WebhookDelivery)
    of_status = () if status is None else (deliveries.c.status == status,)
    return await _page(tx, before, deliveries.c.endpoint_id == endpoint_id, *of_status)


async def deliveries_about(tx: Transaction, booking_id: UUID, before: UUID | None) -> Deliveries:
    """The same of what is about a booking, whichever endpoint it is for."""
    return await _page(tx, before, table(WebhookDelivery).c.booking_id == booking_id)


async def _page(tx: Transaction, before: UUID | None, *wanted: ColumnElement[bool]) -> Deliveries:
    deliveries = table(WebhookDelivery)
    order = tuple_(deliveries.c.created_at, deliveries.c.id)
    page = select(deliveries).where(*wanted)
    if before is not None:
        cursor = select(deliveries.c.created_at, deliveries.c.id).where(deliveries.c.id == before)
        page = page.where(order < cursor.scalar_subquery())
    found = await tx.execute(page.order_by(deliveries.c.created_at.desc(), deliveries.c.id.desc()).limit(PAGE + 1))
    items = [DeliveryOut.model_validate(row) for row in found]
    return Deliveries(items=items[:PAGE], next=items[PAGE - 1].id if len(items) > PAGE else None)


async def redeliver(tx: Transaction, endpoint_id: UUID, delivery_id: UUID, actor: str) -> DeliveryOut:
    """Owes a delivery once more, with the whole schedule and under the same webhook-id.

    Raises NotFound; Conflict for a disabled endpoint; IllegalTransition while it is still being delivered.
    """
    endpoint = await _endpoint(tx, endpoint_id, held=True)
    if endpoint.status != EndpointStatus.ACTIVE:
        raise Conflict("The webhook endpoint is disabled; enable it first.", state=endpoint.status)
    deliveries = table(WebhookDelivery)
    own = (deliveries.c.id == delivery_id, deliveries.c.endpoint_id == endpoint_id)
    found = (await tx.execute(select(deliveries).where(*own).with_for_update())).first()
    if found is None:
        raise NotFound("webhook delivery")
    status = delivery_after(DeliveryStatus(found.status), DeliveryTrigger.REDELIVERY)
    changed = await tx.execute(
        update(deliveries).where(*own).values(status=status, attempts=0, next_attempt_at=tx.now).returning(deliveries)
    )
    await audit.record(tx, actor=actor, action="webhook_delivery.redeliver", subject=f"webhook_delivery/{delivery_id}")
    return DeliveryOut.model_validate(changed.one())


async def _endpoint(tx: Transaction, endpoint_id: UUID, *, held: bool = False) -> Row[Any]:
    endpoints = table(WebhookEndpoint)
    wanted = select(endpoints).where(endpoints.c.id == endpoint_id)
    found = (await tx.execute(wanted.with_for_update(read=True) if held else wanted)).first()
    if found is None:
        raise NotFound("webhook endpoint")
    return found


@dataclass(frozen=True)
class Batch:
    """Deliveries of one endpoint that are claimed for a lease."""

    url: str
    secret: str
    deliveries: Sequence[Row[Any]]


async def endpoints_in_debt(tx: Transaction, busy: Collection[UUID], at_most: int) -> list[UUID]:
    """Active endpoints with a delivery that is due, those longest waiting first, without those that are being worked on here."""
    endpoints, deliveries = table(WebhookEndpoint), table(WebhookDelivery)
    oldest = (
        select(func.min(deliveries.c.next_attempt_at))
        .where(deliveries.c.endpoint_id == endpoints.c.id, deliveries.c.next_attempt_at <= tx.now)
        .scalar_subquery()
    )
    found = await tx.execute(
        select(endpoints.c.id)
        .where(endpoints.c.status == EndpointStatus.ACTIVE, endpoints.c.id.not_in(busy), oldest.is_not(None))
        .order_by(oldest)
        .limit(at_most)
    )
    return list(found.scalars())


async def claim(tx: Transaction, endpoint_id: UUID, at_most: int) -> Batch | None:
    """Claims due deliveries of an endpoint for one lease, oldest first; None where there are none. Each counts as an attempt."""
    endpoints, deliveries = table(WebhookEndpoint), table(WebhookDelivery)
    due = (
        select(deliveries.c.id)
        .where(deliveries.c.endpoint_id == endpoint_id, deliveries.c.next_attempt_at <= tx.now)
        .order_by(deliveries.c.next_attempt_at)
        .limit(at_most)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    claimed = await tx.execute(
        update(deliveries)
        .where(
            deliveries.c.id == due.c.id,
            endpoints.c.id == deliveries.c.endpoint_id,
            endpoints.c.status == EndpointStatus.ACTIVE,
        )
        .values(
            next_attempt_at=tx.now + WEBHOOKS.lease,
            attempts=deliveries.c.attempts + 1,
            last_status=None,
            last_error=None,
        )
        .returning(deliveries, endpoints.c.url, endpoints.c.secret)
    )
    rows = claimed.all()
    return Batch(rows[0].url, rows[0].secret, rows) if rows else None


async def settle(tx: Transaction, endpoint_id: UUID, answers: Sequence[tuple[Row[Any], Answer]]) -> None:
    """Records what came of calls, all in one statement; a receiver that is gone is not called again."""
    deliveries = table(WebhookDelivery)
    statement = (
        update(deliveries)
        .where(deliveries.c.id == bindparam("own"), deliveries.c.status == DeliveryStatus.PENDING)
        .values(
            status=bindparam("new_status"),
            next_attempt_at=bindparam("again_at"),
            last_status=bindparam("answered"),
            last_error=bindparam("error"),
            delivered_at=func.coalesce(
                bindparam("arrived_at", type_=DateTime(timezone=True)), deliveries.c.delivered_at
            ),
        )
    )
    await tx.execute(statement, [_settled(row, answer, tx.now) for row, answer in answers])
    if any(answer.gone for _, answer in answers):
        await _disable(tx, endpoint_id)


def _settled(row: Row[Any], answer: Answer, now: datetime) -> dict[str, Any]:
    again_at = None
    if answer.acknowledged:
        trigger = DeliveryTrigger.ACKNOWLEDGED
    elif answer.gone:
        trigger = DeliveryTrigger.ENDPOINT_GONE
    else:
        again_at = next_webhook_at(row.attempts, now, answer.retry_after)
        trigger = DeliveryTrigger.REJECTED if again_at else DeliveryTrigger.GIVEN_UP
    return {
        "own": row.id,
        "new_status": delivery_after(DeliveryStatus(row.status), trigger),
        "again_at": again_at,
        "answered": answer.status,
        "error": answer.error,
        "arrived_at": now if answer.acknowledged else None,
    }


async def _disable(tx: Transaction, endpoint_id: UUID) -> None:
    endpoints, deliveries = table(WebhookEndpoint), table(WebhookDelivery)
    reason = "it answered 410: it does not want to be called any more"
    await tx.execute(
        update(endpoints)
        .where(endpoints.c.id == endpoint_id)
        .values(status=EndpointStatus.DISABLED, disabled_reason=reason)
    )
    await tx.execute(
        update(deliveries)
        .where(deliveries.c.endpoint_id == endpoint_id, deliveries.c.status == DeliveryStatus.PENDING)
        .values(
            status=delivery_after(DeliveryStatus.PENDING, DeliveryTrigger.ENDPOINT_GONE),
            next_attempt_at=None,
            last_error="the endpoint is disabled",
        )
    )


def outdated(before: datetime) -> Sequence[Delete]:
    """Deliveries that nobody is owed any more, with the bodies that were sent."""
    deliveries = table(WebhookDelivery)
    is_over = deliveries.c.status != DeliveryStatus.PENDING
    return [delete(deliveries).where(is_over, deliveries.c.created_at < before)]
