"""Hands a mail to the mail server, and says honestly what came of it.

Between the last byte of the mail and the server's answer lies a moment whose outcome nobody knows when the line breaks. The mail is then
sent again under the same Message-ID, by which the receiving side can see that it is one.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.policy import SMTP as POLICY
from email.policy import SMTPUTF8

import idna
from aiosmtplib import SMTP, SMTPException, SMTPResponseException
from aiosmtplib.errors import SMTPDataError, SMTPRecipientRefused, SMTPSenderRefused

from notification.composer import Composed
from notification.domain import MessageTrigger
from notification.outgoing import Outcome
from notification.settings import Settings

TIMEOUT_S = 10.0
"""For each step of the conversation."""

LONGEST_S = 30.0
"""For the whole of it; shorter than the lease of a mail, so that no two attempts overlap."""

IDLE_S = 4.0
"""How long a line waits for the next mail; mail servers under stress end one after ten seconds."""

LINES_KEPT = 8
MAILS_PER_LINE = 100
"""What mail servers commonly allow."""

_PERMANENT = 500
_CLOSING = 421


@dataclass(frozen=True)
class Envelope:
    """A mail as it goes over the line."""

    sender: str
    recipient: str
    content: bytes
    needs_utf8: bool


@dataclass
class _Line:
    """A line to the mail server, how many mails it has brought through, and what ends it while it waits."""

    client: SMTP
    mails: int = 0
    closing: asyncio.TimerHandle = field(init=False)


def address_of(name: str, email: str) -> Address:
    """Raises ValueError for what is no address, and for a line break in any part."""
    local, _, domain = email.rpartition("@")
    if not local or not domain or any(mark in name + email for mark in "\r\n\0"):
        raise ValueError("the recipient's address is not usable")
    return Address(name, local, domain if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii"))


def envelope(message: Composed, sender: Address, recipient: Address) -> Envelope:
    """The bytes to send. Only an address with a local part beyond ASCII asks the server for SMTPUTF8 (RFC 6531)."""
    needs_utf8 = not (sender.addr_spec + recipient.addr_spec).isascii()
    content = message.content(SMTPUTF8 if needs_utf8 else POLICY)
    return Envelope(sender.addr_spec, recipient.addr_spec, content, needs_utf8)


class Mailer:
    """The mail server. A line to it that has brought one mail through may bring the next: opening one costs more than the mail itself."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._idle: list[_Line] = []

    async def hand_over(self, mail: Envelope) -> Outcome:
        """One attempt. A 5xx to the sender, the recipient or the content is final; everything else may pass and is tried again.

        The server's words are not kept: they tend to repeat the recipient's address.
        """
        if self._idle:
            line = self._idle.pop()
            line.closing.cancel()
            outcome = await self._attempt(line, mail)
            if outcome is not None:
                return outcome
        outcome = await self._attempt(_Line(self._client()), mail)
        assert outcome is not None, "a new line has no past that could have ended it"
        return outcome

    async def close(self) -> None:
        """Ends the lines that wait for a mail."""
        while self._idle:
            line = self._idle.pop()
            line.closing.cancel()
            with suppress(SMTPException, OSError, TimeoutError):
                await line.client.quit(timeout=2)
            line.client.close()

    async def _attempt(self, line: _Line, mail: Envelope) -> Outcome | None:
        """What came of it; None where a line that was kept had ended by itself before anything was said on it."""
        client, kept, content_sent = line.client, bool(line.mails), False
        outcome: Outcome | None = None
        try:
            async with asyncio.timeout(LONGEST_S):
                if not kept:
                    await client.connect()
                if mail.needs_utf8 and not client.supports_extension("smtputf8"):
                    return Outcome(MessageTrigger.REFUSED, "the mail server takes no addresses beyond ASCII")
                encoding, options = ("utf-8", ["SMTPUTF8", "BODY=8BITMIME"]) if mail.needs_utf8 else ("ascii", [])
                await client.mail(mail.sender, options=options, encoding=encoding)
                await client.rcpt(mail.recipient, encoding=encoding)
                content_sent = True
                await client.data(mail.content)
            outcome = Outcome(MessageTrigger.ACCEPTED)
        except (SMTPSenderRefused, SMTPRecipientRefused, SMTPDataError) as refused:
            if kept and not content_sent and refused.code == _CLOSING:
                return None
            final = refused.code >= _PERMANENT
            trigger = MessageTrigger.REFUSED if final else MessageTrigger.DEFERRED
            outcome = Outcome(trigger, f"the mail server answered {refused.code}")
        except SMTPResponseException as refused:  # greeting, EHLO, STARTTLS or sign-in: says nothing about this mail
            outcome = Outcome(MessageTrigger.DEFERRED, f"the mail server answered {refused.code} before the mail")
        except (SMTPException, OSError, TimeoutError) as error:
            if kept and not content_sent and not isinstance(error, TimeoutError):
                return None
            outcome = Outcome(
                MessageTrigger.DEFERRED, _what_failed(error, content_sent=content_sent), unsure=content_sent
            )
        finally:
            if outcome is not None and outcome.trigger is MessageTrigger.ACCEPTED:
                self._keep(line)
            else:
                client.close()
        return outcome

    def _keep(self, line: _Line) -> None:
        line.mails += 1
        if line.mails >= MAILS_PER_LINE or len(self._idle) >= LINES_KEPT or not line.client.is_connected:
            line.client.close()
            return
        line.closing = asyncio.get_running_loop().call_later(IDLE_S, self._drop, line)
        self._idle.append(line)

    def _drop(self, line: _Line) -> None:
        self._idle.remove(line)
        line.client.close()

    def _client(self) -> SMTP:
        told = self._settings
        return SMTP(
            hostname=told.smtp_host,
            port=told.smtp_port,
            username=told.smtp_username,
            password=told.smtp_password.get_secret_value() if told.smtp_password else None,
            start_tls=told.smtp_starttls,
            local_hostname=told.sender.domain,
            timeout=TIMEOUT_S,
        )


def _what_failed(error: Exception, *, content_sent: bool) -> str:
    how = "timed out" if isinstance(error, TimeoutError) else "broke"
    return f"the line to the mail server {how} {'after' if content_sent else 'before'} the mail was sent"
