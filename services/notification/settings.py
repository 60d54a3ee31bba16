"""What notification is told: variables that begin with NOTIFICATION_."""

from __future__ import annotations

import sys
from datetime import timedelta
from email.headerregistry import Address
from email.utils import parseaddr
from typing import Annotated

from chassis.settings import ServiceSettings, Shared
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from notification.survey_rules import Kind, Terms


class Settings(ServiceSettings):
    """The mail server, the sender, the staff who are written to, the hosts that may be called although they are internal, and surveys."""

    model_config = SettingsConfigDict(env_prefix="NOTIFICATION_", extra="ignore")

    smtp_host: str
    smtp_port: int = Field(587, ge=1, le=65535)
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_starttls: bool = True
    mail_from: str
    staff_address: str | None = None
    webhook_allowed_hosts: Annotated[frozenset[str], NoDecode] = frozenset()
    surveys: bool = True
    survey_event_delay_s: int = Field(86_400, ge=0)
    survey_refund_delay_s: int = Field(86_400, ge=0)

    @field_validator("mail_from")
    @classmethod
    def _an_address(cls, value: str) -> str:
        sender_of(value)
        return value

    @field_validator("staff_address")
    @classmethod
    def _of_staff(cls, value: str | None) -> str | None:
        if not value:
            return None
        sender_of(value)
        return value

    @field_validator("webhook_allowed_hosts", mode="before")
    @classmethod
    def _hosts(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        hosts = frozenset(part.strip().lower() for part in value.split(",") if part.strip())
        if wrong := [host for host in hosts if not host.rpartition(":")[2].isdecimal() or not host.rpartition(":")[0]]:
            raise ValueError(f"{', '.join(sorted(wrong))} is not host:port")
        return hosts

    @property
    def survey_terms(self) -> Terms:
        """Whether buyers are asked how it was, and when."""
        delays = {Kind.EVENT: self.survey_event_delay_s, Kind.REFUND: self.survey_refund_delay_s}
        return Terms(self.surveys, {kind: timedelta(seconds=delay_s) for kind, delay_s in delays.items()})

    @property
    def sender(self) -> Address:
        """Who mails are from; the name is what a buyer sees of the organiser."""
        return sender_of(self.mail_from)

    @property
    def staff(self) -> Address | None:
        """Who is written to about what staff must look at; None where nobody is."""
        return sender_of(self.staff_address) if self.staff_address else None


def sender_of(mail_from: str) -> Address:
    """The address in `Name <local@domain>` or `local@domain`. Raises ValueError where there is none."""
    name, address = parseaddr(mail_from)
    local, _, domain = address.rpartition("@")
    if not local or not domain or not domain.isascii() or any(mark in mail_from for mark in "\r\n\0"):
        raise ValueError("it is not a mail address such as Tickets <tickets@example.org>")
    return Address(name or domain, local, domain)


def refuse_in_production(settings: Settings, shared: Shared) -> None:
    """Exits where a setting that only a sandbox may have is set in production."""
    if shared.mode == "production" and settings.webhook_allowed_hosts:
        print(  # noqa: T201  # logging is not configured yet
            "NOTIFICATION_WEBHOOK_ALLOWED_HOSTS is set: internal addresses may only be called where BOXOFFICE_MODE is sandbox.",
            file=sys.stderr,
        )
        sys.exit(78)  # EX_CONFIG of sysexits.h
