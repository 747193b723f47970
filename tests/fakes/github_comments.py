"""Comments on pull requests in the fake GitHub."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.fakes.github_asked import Asked, Reply
from tests.fakes.github_state import Refusal, Repository, World, choice, text

LONGEST = 65_536
REACTIONS = {"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"}
BOT = "slipway-test[bot]"
USER = "token-owner"


@dataclass
class Comment:
    """`bodies`: what it said, one after the other."""

    id: int
    number: int
    author: str
    bodies: list[str] = field(default_factory=list[str])
    reactions: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Who reacted, and how."""
    written_at: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    on: str = "pull"
    """`issues` for a comment on an issue that is no pull request."""

    @property
    def body(self) -> str:
        return self.bodies[-1]

    def public(self, name: str) -> dict[str, Any]:
        """As GitHub's API shows it (docs.github.com/rest/issues/comments)."""
        kind = "Bot" if self.author.endswith("[bot]") else "User"
        return {
            "id": self.id,
            "body": self.body,
            "user": {"login": self.author, "id": 1, "type": kind},
            "created_at": self.written_at,
            "updated_at": self.written_at,
            "html_url": f"https://github.com/{name}/{self.on}/{self.number}#issuecomment-{self.id}",
            "issue_url": f"https://api.github.com/repos/{name}/issues/{self.number}",
            "author_association": "NONE",
            "performed_via_github_app": None,
        }


@dataclass
class CommentRoutes:
    world: World
    signed: Callable[[Asked, str, dict[str, str]], Repository]

    def table(self) -> list[tuple[str, str, Callable[..., Reply]]]:
        repository = r"/repos/([^/]+/[^/]+)"
        return [
            ("GET", r"/app", self.app),
            ("GET", r"/user", self.user),
            ("GET", rf"{repository}/issues/(\d+)/comments", self.read),
            ("GET", rf"{repository}/issues/comments", self.read_all),
            ("POST", rf"{repository}/issues/(\d+)/comments", self.create),
            ("GET", rf"{repository}/issues/comments/(\d+)", self.one),
            ("PATCH", rf"{repository}/issues/comments/(\d+)", self.edit),
            ("POST", rf"{repository}/issues/comments/(\d+)/reactions", self.react),
        ]

    def app(self, asked: Asked) -> Reply:
        self.world.check_app(asked.authorization)
        return Reply(200, {"id": int(self.world.app_id), "slug": BOT.removesuffix("[bot]")})

    def user(self, asked: Asked) -> Reply:
        self._author(asked)
        return Reply(200, {"login": USER})

    def read(self, asked: Asked, name: str, number: str) -> Reply:
        repository = self.signed(asked, name, {"pull_requests": "read"})
        size, page = int(asked.query.get("per_page", "30")), int(asked.query.get("page", "1"))
        found = [one.public(name) for one in repository.comments if one.number == int(number)]
        return Reply(200, found[size * (page - 1) : size * page])

    def read_all(self, asked: Asked, name: str) -> Reply:
        repository = self.signed(asked, name, {"pull_requests": "read"})
        if (asked.query.get("sort"), asked.query.get("direction")) != ("created", "desc"):
            raise Refusal(422, "the oldest first would never show what is new")
        size, page = int(asked.query.get("per_page", "30")), int(asked.query.get("page", "1"))
        newest = sorted(repository.comments, key=lambda one: (one.written_at, one.id), reverse=True)
        some = newest[size * (page - 1) : size * page]
        more = {"Link": '<https://api.github.com/next>; rel="next"'} if size * page < len(newest) else {}
        return Reply(200, [one.public(name) for one in some], more)

    def one(self, asked: Asked, name: str, comment: str) -> Reply:
        repository = self.signed(asked, name, {"pull_requests": "read"})
        found = next((one for one in repository.comments if one.id == int(comment)), None)
        if found is None:
            raise Refusal(404, "Not Found", expected=True)
        return Reply(200, found.public(name))

    def create(self, asked: Asked, name: str, number: str) -> Reply:
        repository = self.signed(asked, name, {"pull_requests": "write"})
        said = text(asked.body, "body", longest=LONGEST, required=True)
        author, first = self._author(asked), said.partition("\n")[0]
        same = [one for one in repository.comments if one.number == int(number) and one.author == author]
        if first.startswith("<!--") and any(one.body.startswith(first) for one in same):
            raise Refusal(422, f"a second comment on pull request {number} that begins with {first}")
        made = Comment(self.world.number(), int(number), author, [said])
        repository.comments.append(made)
        self.world.said.append(f"comment on #{number}")
        return Reply(201, made.public(name))

    def edit(self, asked: Asked, name: str, comment: str) -> Reply:
        repository = self.signed(asked, name, {"pull_requests": "write"})
        found = next((one for one in repository.comments if one.id == int(comment)), None)
        if found is None:
            raise Refusal(404, "Not Found", expected=True)
        if found.author != self._author(asked):
            raise Refusal(403, "Resource not accessible by integration")
        said = text(asked.body, "body", longest=LONGEST, required=True)
        if said == found.body:
            raise Refusal(422, "an edit that changes nothing")
        found.bodies.append(said)
        self.world.said.append(f"edit of the comment on #{found.number}")
        return Reply(200, found.public(name))

    def react(self, asked: Asked, name: str, comment: str) -> Reply:
        repository = self.signed(asked, name, {"pull_requests": "write"})
        found = next((one for one in repository.comments if one.id == int(comment)), None)
        if found is None:
            raise Refusal(404, "Not Found", expected=True)
        made = (self._author(asked), choice(asked.body, "content", REACTIONS))
        # The same reaction by the same account is there once, and answered with 200.
        is_new = made not in found.reactions
        if is_new:
            found.reactions.append(made)
            self.world.said.append(f"reaction {made[1]} to a comment on #{found.number}")
        return Reply(201 if is_new else 200, {"id": found.id, "content": made[1]})

    def _author(self, asked: Asked) -> str:
        token = self.world.tokens.get(asked.authorization.partition(" ")[2])
        if token is None:
            raise Refusal(401, "Bad credentials", expected=True)
        return BOT if token.installation is not None else USER
