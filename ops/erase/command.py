"""`boxoffice erase` at the command line."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from chassis.crypto import Sealer

from ops.erase import run
from ops.settings import Keys, Settings


async def erase(
    settings: Settings,
    keys: Keys,
    wanted: str | UUID,
    *,
    by: str,
    dry_run: bool,
    force: bool,
    confirm: Callable[[str], bool],
    say: Callable[[str], None],
) -> int:
    """Erases the customer of a booking, or of all bookings of an address. 0: done, or shown; 1: not done, and why."""
    sealer = Sealer.from_settings(keys.seal_keyset.get_secret_value(), keys.blind_index_key.get_secret_value())
    async with run.databases(settings) as opened:
        ids = [wanted] if isinstance(wanted, UUID) else await run.bookings_of(opened["booking"], sealer, wanted)
        blanked = await run.plan(opened, sealer, ids) if ids else []
        if not blanked:
            say("Nothing is kept about such a customer.")
            return 1
        for line in run.lines(blanked):
            say(line)
        against = await run.obstacles(opened, ids)
        for sentence in against:
            say(f"{'in spite of' if force else 'refused'}: {sentence}")
        if against and not force:
            say(
                "Nothing was blanked. Wait until that is over, or say --force: tickets, mails and money under way then go without it."
            )
            return 1
        if dry_run:
            say("Nothing was blanked: --dry-run.")
            return 0
        if not confirm(f"Blank all of this for {len(ids)} bookings? It cannot be undone."):
            say("Nothing was blanked.")
            return 1
        await run.erase(opened, sealer, ids, by)
        say(f"{len(ids)} bookings: erased.")
        return 0
