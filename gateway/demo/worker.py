"""Somebody at an agency without a system: an e-mail, the link in it, and a page with forms.

What a browser does is all that is done here: the page's own forms are filled in and posted.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final

import httpx

from gateway.demo.connection import Connection
from gateway.demo.inbox import DidNotComeError
from gateway.demo.mailroom import Mailroom
from gateway.demo.partner import HUB
from gateway.demo.story import Story

_LINK: Final = re.compile(r"https?://\S+/light/\S+")

Form = dict[str, str]


class Page(HTMLParser):
    """A page as it is read: its lines of label and value, and the forms by the move they make."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.lines: dict[str, str] = {}
        self.forms: dict[str, Form] = {}
        self._in, self._label, self._form = "", "", Form()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Forms and their hidden fields; where a label or a value begins."""
        about = dict(attrs)
        self._in = tag
        if tag == "form":
            self._form = Form()
        if tag == "input" and about.get("type") in ("hidden", "date"):
            self._form[about.get("name") or ""] = about.get("value") or ""
            if about.get("name") == "move":
                self.forms[about.get("value") or ""] = self._form

    def handle_endtag(self, tag: str) -> None:
        """What follows is of no element that is read."""
        self._in = ""

    def handle_data(self, data: str) -> None:
        """A label, or the value that follows it."""
        if self._in == "dt":
            self._label = data
        elif self._in == "dd":
            self.lines[self._label] = data


class Worker(Connection):
    """Somebody who reads an agency's e-mails at ``address`` and answers on a telephone."""

    def __init__(self, id: str, name: str, address: str, mailroom: Mailroom, story: Story) -> None:
        super().__init__(httpx.AsyncClient(follow_redirects=True, timeout=10, trust_env=False))
        self.id, self.name = id, name
        self._address = address
        self._mailroom = mailroom
        self._story = story
        self._at = ""

    async def mailed(self, *unsaid: str) -> Page:
        """Wait for the next e-mail and open its link; nothing ``unsaid`` may stand in the mail."""
        mail = await self._mailroom.read(self._address)
        if any(word in mail.subject + mail.text for word in unsaid):
            raise DidNotComeError(f"an e-mail to {self.name} that names nobody")
        found = _LINK.search(mail.text)
        if found is None:
            raise DidNotComeError(f"a link in the e-mail to {self.name}")
        self._at = found.group()
        self._story.tell(HUB, self.name, f'e-mails "{mail.subject}", a link and no name')
        page = Page(await self._load(await self._http.get(self._at)))
        gist = ", ".join(page.lines[name] for name in ("Name", "Because of") if name in page.lines)
        self._story.tell(self.name, HUB, f"opens the link: {gist}")
        return page

    async def answer(self, page: Page, move: str, **fields: str) -> Page:
        """Fill in and send the form of a move; the page that follows.

        Where the referral has changed meanwhile it is looked at again, as the page asks.
        """
        while True:
            if move not in page.forms:
                raise DidNotComeError(f"a form to {move} on the page of {self.name}")
            sent = await self._http.post(self._at, data={**page.forms[move], **fields})
            if sent.status_code != httpx.codes.PRECONDITION_FAILED:
                break
            page = Page(await self._load(await self._http.get(self._at)))
        after = Page(await self._load(sent))
        self._story.tell(self.name, HUB, f"presses the button: {move}")
        return after

    async def _load(self, answer: httpx.Response) -> str:
        if answer.is_error:
            raise DidNotComeError(f"the page of {self.name} ({answer.status_code} came)")
        self._at = str(answer.url)
        return answer.text
