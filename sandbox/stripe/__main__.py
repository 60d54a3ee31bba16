"""`python -m sandbox.stripe --port N --state DIR`: run the stand-in until it is told to stop."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from sandbox.stripe.app import Options, server
from sandbox.stripe.webhooks import RETRY_SECONDS


def main(arguments: list[str] | None = None) -> int:
    """Exit status 2 and one sentence for options that the stand-in refuses."""
    defaults = Options(port=0, state=Path())
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.stripe", description="A stand-in for Stripe, on 127.0.0.1 only."
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="folder of the stand-in's memory, made when missing")
    parser.add_argument("--api-key", default=defaults.api_key, help="secret key that callers must send (sk_test_…)")
    parser.add_argument(
        "--publishable-key", default=defaults.publishable_key, help="what a browser may send (pk_test_…)"
    )
    parser.add_argument(
        "--webhook-retry-seconds",
        default=",".join(f"{seconds:g}" for seconds in RETRY_SECONDS),
        help="waits before each repetition of a failed delivery, comma separated (default: %(default)s)",
    )
    parser.add_argument(
        "--host", default=defaults.host, help="address to listen on, for containers (default: %(default)s)"
    )
    parser.add_argument("--browser-url", help="where browsers find it, when that is another address")
    given = parser.parse_args(arguments)
    if os.environ.get("BOXOFFICE_MODE") == "production":
        print("BOXOFFICE_MODE=production: the Stripe stand-in does not run in production.", file=sys.stderr)
        return 2
    try:
        options = Options(
            port=given.port,
            state=given.state,
            api_key=given.api_key,
            publishable_key=given.publishable_key,
            webhook_retry_seconds=_seconds(given.webhook_retry_seconds),
            host=given.host,
            browser_url=given.browser_url,
        )
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    server(options).run()
    return 0


def _seconds(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(each) for each in text.split(","))
    except ValueError as error:
        raise ValueError("--webhook-retry-seconds: numbers of seconds, comma separated") from error


if __name__ == "__main__":
    sys.exit(main())
