"""Our one comment on a pull request (docs.github.com/rest/issues/comments)."""

from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from bot.domain.pull import PullNumber
from bot.github import shown
from bot.github.client import COMMENTS, Repository
from bot.github.errors import NotFoundError
from bot.github.session import Answer, Call

_PAGE = 100
_MAX_PAGES = 30
"""Comments searched: those of the first 3,000; ours is among the earliest as a rule."""


class _User(msgspec.Struct):
    login: str = ""


class _Comment(msgspec.Struct):
    id: int
    body: str | None = None
    user: _User | None = None


@dataclass(frozen=True)
class PullComments:
    """The comments of one pull request. All raise `GitHubError`; each write is paced."""

    repository: Repository
    number: PullNumber

    def put(self, known: int | None, body: str, marker: str, *, in_doubt: bool = False) -> int:
        """Let our comment say this, and return its id.

        The known one is edited. Without one, or when somebody deleted it, ours is looked for by its
        first line and its author, since an earlier request may have succeeded unheard; else it is made.
        What may say this by now (`in_doubt`, or found) is read first: an edit costs a write and is shown.
        """
        if known is not None and ((in_doubt and self._says(known) == body) or self._edit(known, body)):
            return known
        found = self._find(marker)
        if found is not None and (self._says(found) == body or self._edit(found, body)):
            return found
        self.repository.wait_for_turn()
        return self._send(Call("POST", f"{self._issue}/comments", {"body": body})).read(_Comment).id

    def react(self, comment: int, content: str, *, share: float = 1.0) -> None:
        """React to somebody's comment; the same reaction twice is one (docs.github.com/rest/reactions)."""
        self.repository.wait_for_turn(share)
        path = f"{self._repository}/issues/comments/{comment}/reactions"
        self._send(Call("POST", path, {"content": content}, repeatable=True))

    def _says(self, comment: int) -> str | None:
        return shown.comment(self.repository.github, self.repository.app, comment)

    def _edit(self, comment: int, body: str) -> bool:
        """Whether it was there to be edited."""
        self.repository.wait_for_turn()
        try:
            self._send(Call("PATCH", f"{self._repository}/issues/comments/{comment}", {"body": body}))
        except NotFoundError:
            return False
        return True

    def _find(self, marker: str) -> int | None:
        author = self.repository.github.own_name()
        for page in range(1, _MAX_PAGES + 1):
            params = {"per_page": str(_PAGE), "page": str(page)}
            found = self._send(Call("GET", f"{self._issue}/comments", params=params)).read(list[_Comment])
            for one in found:
                ours = one.user is not None and one.user.login.lower() == author.lower()
                if ours and (one.body or "").startswith(marker):
                    return one.id
            if len(found) < _PAGE:
                break
        return None

    def _send(self, call: Call) -> Answer:
        return self.repository.github.send(self.repository.app, call, COMMENTS)

    @property
    def _repository(self) -> str:
        return f"repos/{quote(self.repository.app.repository)}"

    @property
    def _issue(self) -> str:
        return f"{self._repository}/issues/{self.number}"
