"""How a part of the outside world is told to misbehave, by a test or by the control on its page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

from chassis.problems import problem
from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

UP = "up"


class Order(BaseModel):
    """What `POST /_control` takes. Without `n` the mode stays until another is ordered."""

    model_config = ConfigDict(extra="forbid")

    mode: str
    n: Annotated[int, Field(ge=1)] | None = None
    seconds: Annotated[float, Field(ge=0, le=600)] = 10
    """How long `slow` waits, and what a `Retry-After` says."""


class Switch:
    """The mode of one part. It is not kept over a restart: what has started works."""

    def __init__(self, modes: Sequence[str], lasting: Sequence[str] = ()) -> None:
        """`modes` besides `up`; those in `lasting` take no `n`, as there is nothing to count in them."""
        self.modes = (UP, *modes)
        self.lasting = frozenset(lasting)
        self.order = Order(mode=UP)

    @property
    def mode(self) -> str:
        """The mode that the next one will meet."""
        return self.order.mode

    def set(self, order: Order) -> str | None:
        """Obeys, or says why not in a sentence."""
        if order.mode not in self.modes:
            return f"mode: expected one of {', '.join(self.modes)}."
        if order.n is not None and order.mode in {UP, *self.lasting}:
            return f"n: the mode {order.mode} is not counted; leave n out."
        self.order = order
        return None

    def take(self) -> Order:
        """What holds for the one that has just come; it is counted."""
        taken = self.order
        if taken.n == 1:
            self.order = Order(mode=UP)
        elif taken.n is not None:
            self.order = taken.model_copy(update={"n": taken.n - 1})
        return taken


def add_switch(app: FastAPI, switch: Switch, obey: Callable[[], Awaitable[None]] | None = None) -> None:
    """GET and POST `/_control`. `obey` runs after each change, before the answer."""

    @app.get("/_control")
    async def show() -> JSONResponse:
        return JSONResponse({**switch.order.model_dump(), "modes": switch.modes})

    @app.post("/_control")
    async def change(order: Order) -> Response:
        refusal = switch.set(order)
        if refusal is not None:
            return problem(422, "Invalid value", refusal)
        if obey is not None:
            await obey()
        return await show()
