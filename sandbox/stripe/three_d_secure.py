"""The page on which a customer answers a 3-D Secure challenge (docs.stripe.com/testing#regulatory-cards).

A form with two buttons; a script posts `outcome=complete` or `outcome=fail` to the same address. Stripe.js shows it in a dialog.
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
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="/js/challenge.css">
<script src="/js/challenge.js" defer></script>
</head>
<body>
<main>
<h1>{title}</h1>
{content}
</main>
</body>
</html>
"""

FORM = """<p>{sentence} <strong>{amount} {currency}</strong></p>
<form method="post">
<button name="outcome" value="complete">{complete}</button>
<button name="outcome" value="fail" class="fail">{fail}</button>
</form>"""

TEXTS = {
    "en": {
        "sentence": "This is the sandbox. Your bank would now ask whether you approve this payment:",
        "complete": "Complete authentication",
        "fail": "Fail authentication",
        "not_waiting": "This authentication is not waiting for an answer.",
        "unknown_outcome": "Send outcome=complete or outcome=fail.",
        "thanks": "Thank you. You can close this window.",
    },
    "de": {
        "sentence": "Dies ist die Sandbox. Ihre Bank würde jetzt fragen, ob Sie dieser Zahlung zustimmen:",
        "complete": "Zahlung bestätigen",
        "fail": "Bestätigung scheitern lassen",
        "not_waiting": "Diese Bestätigung wartet auf keine Antwort.",
        "unknown_outcome": "Senden Sie outcome=complete oder outcome=fail.",
        "thanks": "Danke. Sie können dieses Fenster schließen.",
    },
}


def language_of(tags: str) -> str:
    """Ours for an IETF tag or an Accept-Language header."""
    return "de" if tags.lower().startswith("de") else "en"


def challenge(work: Work, identifier: str, token: str) -> Object | None:
    """The intent that waits for this challenge's answer; None when there is none or it was answered."""
    intent = work.store.get("payment_intent", identifier)
    if intent is None or intent["status"] != "requires_action":
        return None
    return intent if secrets.compare_digest(token.encode(), intent["_challenge"].encode()) else None


def page(intent: Object, language: str) -> str:
    texts = TEXTS[language]
    content = FORM.format(
        sentence=texts["sentence"],
        amount=escape(currencies.shown(intent["amount"], intent["currency"])),
        currency=escape(intent["currency"].upper()),
        complete=texts["complete"],
        fail=texts["fail"],
    )
    return PAGE.format(language=language, title="3-D Secure", content=content)


def notice(name: str, language: str) -> str:
    """A page that says one thing of TEXTS."""
    return PAGE.format(language=language, title="3-D Secure", content=f"<p>{escape(TEXTS[language][name])}</p>")


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
