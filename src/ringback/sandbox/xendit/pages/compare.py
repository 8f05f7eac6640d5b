"""Polling compared with webhooks: a form that starts it, how far it is, and what came of it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from markupsafe import Markup

from ringback.design.rendering import HEADERS
from ringback.policy import MINUTE
from ringback.sandbox.xendit.calls import Answer, Call, Refused
from ringback.sandbox.xendit.compare import table
from ringback.sandbox.xendit.compare.chart import chart
from ringback.sandbox.xendit.compare.plan import MAX_INVOICES, MAX_OUTAGE, Plan
from ringback.sandbox.xendit.compare.results import Comparison, written
from ringback.sandbox.xendit.compare.running import Runner
from ringback.sandbox.xendit.pages.forms import MAX_DIGITS, fields
from ringback.sandbox.xendit.pages.frame import Frame
from ringback.sandbox.xendit.pages.rendering import link_of, see

PLACE = "/dashboard/compare"
FIELDS = ("invoices", "seed", "outage")
# A page that waits is loaded again whenever so many more hundredths are done.
STEP = 5
# Inside the picture there are styles for a dark ground, and nothing else that a picture could do.
PICTURE_POLICY = ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'")


class Compare:
    """The page.

    Args:
        frame: Makes it.
    """

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._runner = Runner()

    async def show(self, call: Call) -> Answer:
        """Show the form, and the comparison that runs or the last one."""
        return self._page(call, _typed(self._runner.plan))

    async def state(self, call: Call) -> Answer:
        """Answer with what would make the page look otherwise."""
        del call
        return Answer({"state": self._state})

    async def start(self, call: Call) -> Answer:
        """Start a comparison, unless one runs."""
        typed = fields(call, *FIELDS)
        try:
            plan = _plan(typed)
        except ValueError as error:
            return self._page(call, typed, str(error))
        if self._runner.runs:
            told = "A comparison runs already. Wait until it is done, or cancel it."
            return self._page(call, typed, told, status=HTTPStatus.CONFLICT)
        self._runner.start(plan)
        return see(link_of(call)(PLACE))

    async def cancel(self, call: Call) -> Answer:
        """End the comparison that runs."""
        await self._runner.cancel()
        return see(link_of(call)(PLACE))

    async def picture(self, call: Call) -> Answer:
        """Answer with the chart, as a file."""
        del call
        kept = ("content-disposition", 'attachment; filename="compare-xendit.svg"')
        svg = chart(self._result()).encode()
        return Answer(svg, content_type="image/svg+xml", headers=(PICTURE_POLICY, kept, *HEADERS))

    async def numbers(self, call: Call) -> Answer:
        """Answer with all numbers, as a file."""
        del call
        kept = ("content-disposition", 'attachment; filename="compare-xendit.json"')
        return Answer(written(self._result()), headers=(kept, *HEADERS))

    @property
    def _state(self) -> str:
        standing = self._runner.standing
        return "" if standing is None else f"{standing.share // STEP}"

    def _result(self) -> Comparison:
        comparison = self._runner.comparison
        if comparison is None:
            raise Refused(404, "NOT_FOUND", "no comparison has been made since the sandbox was started")
        return comparison

    def _page(
        self,
        call: Call,
        typed: dict[str, str],
        fault: str | None = None,
        *,
        status: int = HTTPStatus.BAD_REQUEST,
    ) -> Answer:
        values = {
            "place": PLACE,
            "typed": typed,
            "most": MAX_INVOICES,
            "longest": MAX_OUTAGE // MINUTE,
            "fault": fault,
            "standing": self._runner.standing,
            "state": self._state,
            "failure": self._runner.failure,
            **_shown(self._runner.comparison),
        }
        return self._frame.page(call, "compare.html", values, status=status if fault else HTTPStatus.OK)


def _shown(comparison: Comparison | None) -> dict[str, Any]:
    """Return what the page shows of a result."""
    if comparison is None:
        return {"rows": ()}
    return {
        "rows": table.rows(comparison),
        "heading": table.HEADING,
        "story": table.story(comparison),
        "notes": table.notes(comparison),
        # Made here, of numbers and of words that are written in this package.
        "chart": Markup(chart(comparison, alone=False)),  # noqa: S704 - see above
    }


def _typed(plan: Plan) -> dict[str, str]:
    minutes = plan.outage / MINUTE
    return {"invoices": str(plan.invoices), "seed": str(plan.seed), "outage": f"{minutes:g}"}


def _plan(typed: dict[str, str]) -> Plan:
    """Return what was typed as a plan that can be played.

    Raises:
        ValueError: It cannot; says why.
    """
    numbers = {name: _number(name, typed[name]) for name in FIELDS}
    plan = Plan(**numbers | {"outage": numbers["outage"] * MINUTE})
    plan.check()
    return plan


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise ValueError(f"{name} is a whole number, such as 5")
    return int(text)
