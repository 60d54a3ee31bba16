"""The organisation's refund policies: named, in versions that are never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chassis import audit
from chassis.auth import Principal
from chassis.db import Transaction, table
from chassis.errors import Conflict, Invalid, NotFound, Problem
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from refund.models import PolicyVersion
from refund.policy import Tier, contradictions
from refund.schemas import PolicyDraft, PolicyHistory, PolicyRead


class Contradiction(Invalid):
    """A policy that cannot be applied: every field that is wrong, with its sentence."""

    def __init__(self, wrong: Sequence[tuple[str, str]]) -> None:
        errors = [{"field": field, "message": message} for field, message in wrong]
        Problem.__init__(self, "; ".join(f"{field}: {message}" for field, message in wrong), errors=errors)


async def read_policy(tx: Transaction, policy_id: str) -> PolicyHistory:
    """All versions of a policy. Raises NotFound."""
    versions = await _versions(tx, policy_id)
    if not versions:
        raise NotFound("refund policy")
    valid = [version for version in versions if version.valid_from <= tx.now]
    return PolicyHistory(policy_id=policy_id, valid=valid[-1] if valid else None, versions=versions)


async def put_policy(tx: Transaction, staff: Principal, policy_id: str, draft: PolicyDraft) -> PolicyRead:
    """The next version of a policy, or its last one where that says the same.

    Raises Contradiction, Invalid for a `valid_from` in the past or before that of the last version, Conflict where two do it at once.
    """
    if wrong := contradictions([Tier(tier.hours_before, tier.percent) for tier in draft.tiers], draft.fee_minor):
        raise Contradiction(wrong)
    versions = await _versions(tx, policy_id)
    last = versions[-1] if versions else None
    if last is not None and _says_the_same(draft, last):
        return last
    valid_from = draft.valid_from or max(tx.now, last.valid_from if last else tx.now)
    if valid_from < tx.now:
        raise Invalid("valid_from", "must not lie in the past")
    if last is not None and valid_from < last.valid_from:
        raise Invalid(
            "valid_from", f"must not be before {last.valid_from.isoformat()}, when version {last.version} begins"
        )
    read = PolicyRead(
        policy_id=policy_id,
        version=last.version + 1 if last else 1,
        tiers=list(draft.tiers),
        fee_minor=draft.fee_minor,
        valid_from=valid_from,
        created_by=staff.subject,
        created_at=tx.now,
    )
    policies = table(PolicyVersion)
    added = insert(policies).values(read.model_dump()).on_conflict_do_nothing().returning(policies.c.version)
    if (await tx.execute(added)).first() is None:
        raise Conflict("Somebody else changed this policy just now: read it again.", state=f"version {read.version}")
    subject = f"refund-policy/{policy_id}"
    await audit.record(
        tx, actor=staff.subject, action="refund_policy.put", subject=subject, before=_terms(last), after=_terms(read)
    )
    return read


async def _versions(tx: Transaction, policy_id: str) -> list[PolicyRead]:
    policies = table(PolicyVersion)
    rows = await tx.execute(select(policies).where(policies.c.policy_id == policy_id).order_by(policies.c.version))
    return [PolicyRead.model_validate(dict(row)) for row in rows.mappings()]


def _says_the_same(draft: PolicyDraft, last: PolicyRead) -> bool:
    return (list(draft.tiers), draft.fee_minor) == (last.tiers, last.fee_minor) and draft.valid_from in {
        None,
        last.valid_from,
    }


def _terms(version: PolicyRead | None) -> Mapping[str, object] | None:
    return None if version is None else version.model_dump(mode="json", exclude={"created_by", "created_at"})
