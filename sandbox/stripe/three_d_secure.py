"""The page on which a customer answers a 3-D Secure challenge (docs.stripe.com/testing#regulatory-cards).

A form with two buttons; a script posts `outcome=complete` or `outcome=fail` to the same address.
"""

from __future__ import annotations

import secrets
from html import escape
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sandbox.stripe import confirmation, currencies
from sandbox.stripe.errors import CardError
from sandbox.stripe.values import Object
from sandbox.stripe.work import Work

OUTCOMES = {"complete": True, "fail": False}

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 26rem; margin: 3rem auto; padding: 0 1rem; color: #1a1a1a; background: #fff }}
button {{ font: inherit; padding: .7rem 1.2rem; margin: 0 .5rem .5rem 0; border: 2px solid #1d4ed8; border-radius: .4rem;
  background: #1d4ed8; color: #fff; cursor: pointer }}
button.fail {{ background: #fff; color: #1d4ed8 }}
button:focus-visible {{ outline: 3px solid #f59e0b; outline-offset: 2px }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
{content}
</main>
</body>
</html>
"""

FORM = """<p>This is the sandbox. Your bank would now ask whether you approve this payment of
<strong>{amount} {currency}</strong>.</p>
<form method="post">
<button name="outcome" value="complete">Complete authentication</button>
<button name="outcome" value="fail" class="fail">Fail authentication</button>
</form>"""


def challenge(work: Work, identifier: str, token: str) -> Object | None:
    """The intent that waits for this challenge's answer; None when there is none or it was answered."""
    intent = work.store.get("payment_intent", identifier)
    if intent is None or intent["status"] != "requires_action":
        return None
    return intent if secrets.compare_digest(token.encode(), intent["_challenge"].encode()) else None


def page(intent: Object) -> str:
    amount = currencies.shown(intent["amount"], intent["currency"])
    content = FORM.format(amount=escape(amount), currency=escape(intent["currency"].upper()))
    return PAGE.format(title="3-D Secure", content=content)


def notice(sentence: str) -> str:
    return PAGE.format(title="3-D Secure", content=f"<p>{escape(sentence)}</p>")


def answer(work: Work, intent: Object, outcome: str) -> str | None:
    """Apply the customer's answer; where the browser goes next, or None when the merchant gave no return address.

    docs.stripe.com/payments/3d-secure/authentication-flow: `payment_intent`, `payment_intent_client_secret` and `redirect_status` are
    added to the address.
    """
    return_url, secret = intent["_return_url"], intent["client_secret"]
    status = "succeeded"
    try:
        confirmation.authenticated(work, intent, passed=OUTCOMES[outcome])
    except CardError:
        status = "failed"
    if return_url is None:
        return None
    parts = urlsplit(return_url)
    query = [
        *parse_qsl(parts.query, keep_blank_values=True),
        ("payment_intent", intent["id"]),
        ("payment_intent_client_secret", secret),
        ("redirect_status", status),
    ]
    return urlunsplit(parts._replace(query=urlencode(query)))
