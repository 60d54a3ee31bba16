"""The figures as tables, and as a JSON file that the next run can be compared with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sandbox.bench.trial import Report


def write(report: Report, machine: Mapping[str, Any], at: datetime, folder: Path) -> Path:
    """Writes the report below `folder`, named by its time, and returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{at:%Y%m%dT%H%M%SZ}.json"
    found = {"at": at.isoformat(), "machine": machine, **report.figures, "faults": report.faults}
    file.write_text(json.dumps(found, indent=2) + "\n")
    return file


def show(report: Report, machine: Mapping[str, Any], console: Console) -> None:
    """Rates and latencies, then what a booking costs, then why the figures do not count where they do not."""
    figures = report.figures
    console.print(f"{machine['cores']} cores, load before the run {machine['load_before']}, client included")
    rates = Table("trial", "rate", "p50 ms", "p95 ms", "p99 ms", title="Rates and latencies")
    for name, trial, rate in (
        ("created (closed loop)", "created", "created_per_s"),
        ("confirmed (closed loop)", "closed_loop", "confirmed_per_s"),
        ("confirmed, all drained", "closed_loop", "drained_per_s"),
        ("confirmed (open loop)", "open_loop", "arrivals_per_s"),
    ):
        for label, measured in (("POST", "post_ms"), ("to confirmed", "confirmed_ms")):
            times = figures.get(trial, {}).get(measured)
            if times and rate != "drained_per_s":
                row = [f"{times[rank]:.1f}" for rank in ("p50", "p95", "p99")]
                rates.add_row(f"{name}: {label}", f"{figures[trial][rate]:.1f}/s", *row)
        if rate == "drained_per_s" and trial in figures:
            rates.add_row(name, f"{figures[trial][rate]:.1f}/s", "", "", "")
    if "rush" in figures:
        rush = figures["rush"]
        rates.add_row(
            f"rush: {rush['sold']} of {rush['seats']} seats sold", f"{rush['answers_per_s']:.1f}/s", "", "", ""
        )
    console.print(rates)
    _show_processes(figures.get("closed_loop", {}), console)
    _show_cost(figures.get("cost", {}), console)
    for fault in report.faults:
        console.print(f"does not count: {fault}", markup=False)


def _show_processes(closed: Mapping[str, Any], console: Console) -> None:
    cpu = closed.get("per_booking", {}).get("cpu_ms", {})
    if not cpu:
        return
    processes = Table("process", "CPU ms a booking", "RSS MB", title="Closed loop, by process with its children")
    for name, spent in sorted(cpu.items(), key=lambda item: -item[1]):
        processes.add_row(name, f"{spent:.2f}", f"{closed['rss_mb'][name]:.0f}")
    processes.add_row("all", f"{sum(cpu.values()):.2f}", f"{sum(closed['rss_mb'].values()):.0f}")
    console.print(processes)


def _show_cost(cost: Mapping[str, Any], console: Console) -> None:
    if not cost:
        return
    table = Table(
        "service", "transactions", "statements", "messages", title=f"A booking, counted over {cost['bookings']}"
    )
    for service in cost["statements"]:
        table.add_row(
            service, *(f"{cost[what].get(service, 0):.2f}" for what in ("transactions", "statements", "messages"))
        )
    console.print(table)
    console.print(f"provider calls a booking: {cost['provider_calls']:.2f}")
