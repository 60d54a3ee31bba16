"""`boxoffice audit verify`: whether the four audit chains are whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from chassis.audit import Head

from ops.settings import SERVICES, Settings
from ops.verify.reading import snapshot
from ops.verify.run import DATABASE_ERRORS, reason


def verify(settings: Settings, anchor_file: Path | None, say: Callable[[str], None]) -> int:
    """Prints what is wrong with each chain. 0: whole, 1: not, 2: a database could not be read.

    Without an anchor a tail that was cut off stays unseen. `anchor_file` holds the heads of an earlier run; where all is whole it is
    written anew, so keep it where nobody who can write the databases can write it too.
    """
    anchors = _read(anchor_file)
    heads: dict[str, Head] = {}
    problems = 0
    for service in SERVICES:
        try:
            heads[service], found = asyncio.run(_one(service, settings.reading_url(service), anchors.get(service)))
        except DATABASE_ERRORS as error:
            say(f"{service}: cannot be read: {reason(error)}")
            return 2
        problems += len(found)
        for problem in found:
            say(f"{service}: {problem}")
        if not found:
            anchored = f", anchored at row {anchors[service].seq}" if service in anchors else ""
            say(f"{service}: {heads[service].seq} rows, whole{anchored}")
    if problems:
        return 1
    if anchor_file is not None:
        anchor_file.write_text(json.dumps({service: asdict(head) for service, head in heads.items()}, indent=2))
    return 0


async def _one(service: str, url: str, anchor: Head | None) -> tuple[Head, list[str]]:
    async with snapshot(service, url) as read:
        return await read.audit_chain(anchor)


def _read(anchor_file: Path | None) -> Mapping[str, Head]:
    if anchor_file is None or not anchor_file.exists():
        return {}
    return {service: Head(**head) for service, head in json.loads(anchor_file.read_text()).items()}
