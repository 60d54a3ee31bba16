"""`python -m sandbox.story [--times N] [--json]`: plays the story against the running stack; the exit status tells."""

from __future__ import annotations

import argparse
import asyncio
import sys

from sandbox.launcher import control
from sandbox.launcher.home import Home
from sandbox.story.play import Story
from sandbox.story.shop import Json, Shop, ShopError
from sandbox.story.timeline import Timeline


async def play(status: Json, *, times: int, as_json: bool) -> None:
    """Plays `times` stories, one after the other."""
    async with Shop(status) as shop:
        for number in range(1, times + 1):
            if times > 1:
                print(f"-- story {number} of {times}", file=sys.stderr)
            timeline = Timeline(quiet=as_json)
            await Story(shop, timeline).play()
            if as_json:
                timeline.dump()


def main() -> int:
    """0 when every story ended as it should."""
    parser = argparse.ArgumentParser(prog="boxoffice story", description=__doc__)
    parser.add_argument("--times", type=int, default=1, help="how many stories, one after the other")
    parser.add_argument("--json", action="store_true", help="print the timeline as JSON")
    chosen = parser.parse_args()
    try:
        status = control.ask(Home.chosen().folder, {"do": "status"}, lambda _: None)
    except (control.NotRunning, FileNotFoundError):
        print("Nothing is running: `make up` starts it.", file=sys.stderr)
        return 1
    try:
        asyncio.run(play(status, times=chosen.times, as_json=chosen.json))
    except ShopError as error:
        log = status["processes"].get(error.service, {}).get("log")
        print(f"{error.service}: {error}" + (f"\nIts log: {log}" if log else ""), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
