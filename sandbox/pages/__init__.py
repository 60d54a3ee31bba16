"""What the sandbox's outside world shows in a browser: templates, their style, and how a page is answered.

switch      the control by which a part of the world is made to misbehave; each part's page shows it
templates/  one page each, on top of base.html
static/     the style, and the script that brings in what has arrived
"""

from __future__ import annotations

from pathlib import Path

import jinja2
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

FOLDER = Path(__file__).parent
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; frame-src 'self'; "
    "base-uri 'none'"
)

_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(template: str, *, form_action: str = "'self'", status: int = 200, **facts: object) -> HTMLResponse:
    """The page that `template` makes of `facts`. `form_action` is where its forms may lead (a Content-Security-Policy source)."""
    headers = {
        "Content-Security-Policy": f"{POLICY}; form-action {form_action}; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return HTMLResponse(_templates.get_template(template).render(facts), status, headers)


def add_static(app: FastAPI) -> None:
    """Style and script under /static."""
    app.mount("/static", StaticFiles(directory=FOLDER / "static"))
