"""The words of the mails that ask how it was, in the languages of the pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from notification.stories import Story
from notification.survey_rules import KINDS, SCORES, Kind


class Said(NamedTuple):
    """What a language says in both mails, and what in each: subject, question and what it is asked for."""

    hello: str
    state: str
    scale: tuple[str, ...]
    choose: str
    page: str
    not_yet: str
    booking: str
    subject: Mapping[Kind, str]
    question: Mapping[Kind, str]


_SAID: Mapping[str, Said] = {
    "en": Said(
        hello="Hello",
        state="One question",
        scale=("very bad", "bad", "all right", "good", "very good"),
        choose="Choose from 1, very bad, to 5, very good:",
        page="Answer here:",
        not_yet="The page that opens takes your answer once you send it. You may add a comment, and change both for 30 days.",
        booking="Booking",
        subject={Kind.EVENT: "How was {event}?", Kind.REFUND: "How was your refund for {event}?"},
        question={
            Kind.EVENT: "You were there, and we would like to know how it was: booking, entry and the event itself.",
            Kind.REFUND: "Your refund has been sent. We would like to know how that went for you.",
        },
    ),
    "de": Said(
        hello="Guten Tag",
        state="Eine Frage",
        scale=("sehr schlecht", "schlecht", "in Ordnung", "gut", "sehr gut"),
        choose="Wählen Sie von 1, sehr schlecht, bis 5, sehr gut:",
        page="Hier antworten:",
        not_yet="Auf der Seite, die sich öffnet, zählt Ihre Antwort, sobald Sie sie senden. Sie können etwas dazu schreiben und beides "
        "30 Tage lang ändern.",
        booking="Buchung",
        subject={Kind.EVENT: "Wie war {event}?", Kind.REFUND: "Wie lief die Erstattung für {event}?"},
        question={
            Kind.EVENT: "Sie waren dabei, und wir wüssten gern, wie es war: die Buchung, der Einlass und die Veranstaltung selbst.",
            Kind.REFUND: "Ihre Erstattung ist unterwegs. Wir wüssten gern, wie das für Sie gelaufen ist.",
        },
    ),
}
LANGUAGES = frozenset(_SAID)


def survey_words(story: Story, public_url: str) -> dict[str, Any]:
    """What the page and the text of a survey's mail are filled with.

    Its links open a page with an answer chosen, and give none: mail scanners open links as well.
    """
    said, kind = _SAID[story.language], KINDS[story.template]
    url = f"{public_url}/survey/{story.facts['survey_id']}#token={story.access}"
    return {
        "subject": said.subject[kind].replace("{event}", story.event.name),
        "language": story.language,
        "said": said,
        "question": said.question[kind],
        "survey_url": url,
        "scores": [(score, said.scale[score - 1], f"{url}&score={score}") for score in SCORES],
    }
