from __future__ import annotations

import re
import signal
import smtplib
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from email.utils import make_msgid

import pytest

from tests.sandbox.world.conftest import World

BOOKING = "0190c1d2-0000-7000-8000-00000000000a"
PIXEL = bytes.fromhex("89504e470d0a1a0a") + bytes(range(256))


def mail(to: str = "ada@example.org", subject: str = "Your tickets", text: str = "Hello.\n") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Boxoffice <tickets@boxoffice.example>"
    message["To"] = to
    message["Subject"] = subject
    message["Message-ID"] = make_msgid(domain="boxoffice.example")
    message.set_content(text)
    return message


def with_everything() -> EmailMessage:
    message = mail("Ada <ada@example.org>, grace@example.org", "Grüße aus Köln: 25,00 €", "Zwei Plätze für Søren.\n")
    message["X-Booking"] = BOOKING.upper()
    message.add_alternative('<h1 onclick="x()">Zwei Plätze</h1><img src="cid:qr"><script>alert(1)</script>', "html")
    message.get_payload()[1].add_related(PIXEL, "image", "png", cid="<qr>", filename="ticket.png")
    message.add_attachment("BEGIN:VCALENDAR\nEND:VCALENDAR\n", subtype="calendar", filename="Süd; und Nord.ics")
    return message


def test_a_mail_is_told_whole(world: World) -> None:
    sent = with_everything()
    world.send(sent)

    [told] = world.messages()
    assert told["message_id"] == sent["Message-ID"]
    assert told["from"] == "Boxoffice <tickets@boxoffice.example>"
    assert told["to"] == ["ada@example.org", "grace@example.org"]
    assert told["subject"] == "Grüße aus Köln: 25,00 €"
    assert told["text"] == "Zwei Plätze für Søren.\n"
    assert "<h1" in told["html"]
    assert told["headers"]["X-Booking"] == BOOKING.upper()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", told["received_at"])
    described = [(file["filename"], file["content_type"], file["size"]) for file in told["attachments"]]
    assert described == [("ticket.png", "image/png", len(PIXEL)), ("Süd; und Nord.ics", "text/calendar", 32)]

    assert world.mail.get(f"/api/messages/{told['id']}").json() == told
    raw = world.mail.get(f"/api/messages/{told['id']}/raw")
    assert sent["Message-ID"] in raw.text


def test_mails_are_found_by_what_they_are_about_newest_first(world: World) -> None:
    world.send(with_everything())
    world.send(mail("ada@example.org", "Second"))
    world.send(mail("bada@example.org", "Third", f"About {BOOKING}.\n"))

    def subjects(**conditions: str | int) -> list[str]:
        return [found["subject"][:6] for found in world.messages(**conditions)]

    assert subjects() == ["Third", "Second", "Grüße "]
    assert subjects(limit=1) == ["Third"]
    assert subjects(to="ADA@example.org") == ["Second", "Grüße "], "a whole address, in any case"
    assert subjects(subject="KÖLN") == ["Grüße "]
    assert subjects(booking=BOOKING) == ["Third", "Grüße "], "wherever it is named"
    assert subjects(booking=BOOKING, to="bada@example.org") == ["Third"]
    assert subjects(booking="0190c1d2-0000-7000-8000-00000000000b") == []
    assert subjects(message_id=world.messages(subject="Second")[0]["message_id"]) == ["Second"]

    wrong = world.mail.get("/api/messages", params={"booking": "nonsense"})
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["field"] == "booking"
    assert world.mail.get("/api/messages/none").status_code == 404

    assert world.mail.delete("/api/messages").status_code == 204
    assert subjects() == []


def test_what_was_answered_250_is_there_after_a_kill(world: World) -> None:
    for number in range(20):
        world.send(mail(subject=f"Mail {number}"))
    secret = world.crm.get("/api/secret").json()
    world.stop(signal.SIGKILL)
    world.start()
    assert [told["subject"] for told in world.messages()] == [f"Mail {number}" for number in reversed(range(20))]
    assert world.crm.get("/api/secret").json() == secret


def test_many_senders_at_once(world: World) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: world.send(mail(subject=f"Mail {number}")), range(100)))
    assert {told["subject"] for told in world.messages()} == {f"Mail {number}" for number in range(100)}


def test_a_mail_that_breaks_the_rules_is_kept_and_shown(world: World) -> None:
    raw = (
        b"Subject: =?utf-8?q?broken\r\nTo: x\r\nX-Raw: caf\xe9 \xf0\x9f\x8e\x9f\r\n"
        b"Content-Type: text/plain; charset=nobody-knows\r\n\r\nbody \xff\r\n.leading dot\r\n"
    )
    with world.smtp() as connection:
        connection.sendmail("a@example.org", ["x@example.org"], raw)
    [told] = world.messages(to="x@example.org")
    assert told["text"].endswith(".leading dot\n")
    assert told["message_id"] is None
    assert world.mail.get(f"/messages/{told['id']}?view=headers").status_code == 200


class TestPages:
    def test_the_html_is_shown_without_its_powers(self, world: World) -> None:
        world.send(with_everything())
        [told] = world.messages()
        page = world.mail.get(f"/messages/{told['id']}")
        assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page.text
        assert "<h1 onclick" not in page.text

        framed = world.mail.get(f"/messages/{told['id']}/html")
        policy = framed.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "sandbox allow-popups" in policy
        assert "script" not in policy
        assert 'src="data:image/png;base64,' in framed.text, "what travels in the mail is shown"

    def test_text_from_a_mail_is_escaped(self, world: World) -> None:
        world.send(mail(subject='<script>alert("subject")</script>', text="<script>alert('text')</script>"))
        [told] = world.messages()
        for path in ("/", f"/messages/{told['id']}", f"/messages/{told['id']}?view=headers"):
            page = world.mail.get(path)
            assert "<script>alert" not in page.text, path
            assert "script-src 'self'" in page.headers["content-security-policy"]

    def test_an_attachment_is_downloaded_byte_for_byte(self, world: World) -> None:
        world.send(with_everything())
        [told] = world.messages()
        image, calendar = told["attachments"]
        answer = world.mail.get(f"/messages/{told['id']}/parts/{image['part']}")
        assert answer.content == PIXEL
        assert answer.headers["content-type"] == "image/png"
        answer = world.mail.get(f"/messages/{told['id']}/parts/{calendar['part']}")
        assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''S%C3%BCd%3B%20und%20Nord.ics"
        assert world.mail.get(f"/messages/{told['id']}/parts/0").status_code == 404, "a body is no attachment"

    def test_the_list_can_be_searched(self, world: World) -> None:
        world.send(mail("ada@example.org", "First"))
        world.send(mail("grace@example.org", "Second"))
        page = world.mail.get("/", params={"q": "GRACE"}).text
        assert "Second" in page
        assert "First" not in page
        assert "No mail matches" in world.mail.get("/", params={"q": "nobody"}).text

    def test_the_page_can_tell_that_something_came(self, world: World) -> None:
        before = world.mail.get("/_revision").json()
        world.send(mail())
        assert world.mail.get("/_revision").json() != before


class TestSwitch:
    def order(self, world: World, **order: str | float) -> None:
        answer = world.mail.post("/_control", json=order)
        assert answer.status_code == 200, answer.text

    def test_down_refuses_connections_and_cuts_open_ones(self, world: World) -> None:
        connection = world.smtp()
        connection.ehlo()
        self.order(world, mode="down")
        with pytest.raises(smtplib.SMTPServerDisconnected):
            connection.noop()
        connection.close()
        with pytest.raises(ConnectionRefusedError):
            world.smtp()
        self.order(world, mode="down")
        self.order(world, mode="up")
        world.send(mail())
        assert len(world.messages()) == 1

    def test_tempfail_refuses_as_often_as_was_said_and_keeps_nothing(self, world: World) -> None:
        self.order(world, mode="tempfail", n=2)
        for _ in range(2):
            with pytest.raises(smtplib.SMTPDataError) as refused:
                world.send(mail())
            assert refused.value.smtp_code == 451
        assert world.messages() == []
        world.send(mail())
        assert len(world.messages()) == 1
        assert world.mail.get("/_control").json()["mode"] == "up"

    def test_permfail_refuses_the_recipient(self, world: World) -> None:
        self.order(world, mode="permfail")
        for _ in range(2):
            with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
                world.send(mail())
            assert refused.value.recipients["ada@example.org"][0] == 550
        assert world.messages() == []

    def test_slow_keeps_a_mail_whose_sender_gave_up(self, world: World) -> None:
        self.order(world, mode="slow", n=1, seconds=60)
        with pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected)):
            world.send(mail(), timeout=0.5)
        assert len(world.messages()) == 1
        world.send(mail(), timeout=5)
        assert len(world.messages()) == 2

    @pytest.mark.parametrize(
        ("order", "named"),
        [
            ({"mode": "sideways"}, "mode"),
            ({"mode": "down", "n": 1}, "n"),
            ({"mode": "tempfail", "n": 0}, "n"),
            ({"mode": "slow", "seconds": -1}, "seconds"),
            ({"mode": "slow", "typo": 1}, "typo"),
            ({}, "mode"),
        ],
    )
    def test_a_wrong_order_is_refused_by_name(self, world: World, order: dict[str, str | int], named: str) -> None:
        answer = world.mail.post("/_control", json=order)
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith(f"{named}: ")
        assert world.mail.get("/_control").json()["mode"] == "up"


def test_the_log_names_nobody(world: World) -> None:
    with world.smtp() as connection:
        connection.ehlo()
        connection.docmd("planted@example.org")
        connection.docmd("MAIL FROM:", "planted@example.org garbage")
    world.send(mail("planted@example.org"))
    assert "planted" not in world.log.lower()
