from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.comment import (
    MARKER,
    MAX_LENGTH,
    Answer,
    AnswerLine,
    HeldRow,
    PullComment,
    Row,
    SkippedRow,
    body,
    next_shown,
)
from bot.domain.comment import ShownComment
from bot.domain.deployment import State
from bot.domain.ids import DeploymentId, Sha
from tests.gfm import rendered, rows

GOLDEN = Path(__file__).parent / "golden"
SHA = Sha("a1b2c3d" + "0" * 33)


def row(app: str = "shop", number: int = 7, state: State = State.SUCCEEDED, **more: object) -> Row:
    facts: dict[str, object] = {
        "says": "Deployed to the preview as calm-otter-3",
        "url": f"https://pr-12-{app}.example.org" if state is State.SUCCEEDED else None,
        "took": timedelta(seconds=12.4) if state.is_final else None,
        **more,
    }
    return Row(
        app=app,
        deployment=DeploymentId(number),
        state=state,
        sha=SHA,
        commit_url=f"https://github.com/acme/shop/commit/{SHA}",
        page=f"https://slipway.example.org/deployments/DEP-{number}",
        **facts,  # pyright: ignore[reportArgumentType]
    )


WHOLE = PullComment(
    rows=[
        row(),
        row("docs", 8, State.FAILED, says="The build command ended with exit code 2"),
        row("api", 9, State.RUNNING, says="Deploying to the preview"),
        row("old", 3, gone=True, says="taken down after 30 days", url=None),
    ],
    held=[HeldRow("admin", SHA, "it comes from the fork mallory/shop", DeploymentId(10), "/approve a1b2c3d")],
    skipped=[SkippedRow("site", "No changed file is one of this app's"), SkippedRow("blog", "It is a draft")],
    commands=["/redeploy", "/help"],
    notes=["Previews are taken down when the pull request closes, and after 30 days at the latest."],
)
ANSWER = Answer(
    "mona",
    77,
    [
        AnswerLine("promote", "DEP-9 brings calm-otter-3 to production.", "shop"),
        AnswerLine("lgtm", "That is no command of Slipway's."),
    ],
    helps=True,
)


@pytest.mark.parametrize(
    ("name", "comment"),
    [
        ("whole", WHOLE),
        ("one", PullComment([row()])),
        ("held", PullComment(held=WHOLE.held)),
        ("answer", PullComment([row()], answer=ANSWER)),
    ],
)
def test_the_comment_reads_as_its_golden_text(name: str, comment: PullComment):
    assert body(comment) + "\n" == (GOLDEN / f"comment-{name}.md").read_text()


def test_the_whole_comment_is_one_table_with_one_folded_line():
    text = body(WHOLE)
    page = rendered(text)
    assert page.count("<table>") == 1
    assert [len(cells) for cells in rows(page)] == [6] * 5
    assert text.count("<details>") == text.count("</details>") == 1
    assert page.count("<li>") == 2


def test_nothing_deployed_is_not_worth_a_comment():
    assert not PullComment(skipped=WHOLE.skipped).is_worth_it
    assert PullComment(held=WHOLE.held).is_worth_it


@given(st.lists(st.text(max_size=400), min_size=1, max_size=150))
def test_whatever_is_said_it_fits_and_stays_in_its_cell(words: list[str]):
    comment = PullComment([row(f"app-{at}", at, says=said) for at, said in enumerate(words)])
    text = body(comment)
    assert text.startswith(MARKER + "\n")
    assert len(text) <= MAX_LENGTH
    assert {len(cells) for cells in rows(rendered(text))} == {6}


def _states(path: list[State]) -> list[Row]:
    return [row(state=state, says=str(state)) for state in path]


@pytest.mark.parametrize(
    ("path", "edits"),
    [
        ([State.RUNNING, State.RUNNING, State.SUCCEEDED, State.SUCCEEDED], 2),
        ([State.QUEUED, State.RUNNING, State.QUEUED, State.RUNNING, State.SUCCEEDED], 3),
        ([State.HELD, State.QUEUED, State.RUNNING, State.CANCELLING, State.CANCELLED], 3),
    ],
)
def test_a_deployment_costs_three_edits_at_most_and_its_end_is_always_said(path: list[State], edits: int):
    shown: ShownComment | None = None
    written: list[Row] = []
    for one in _states(path):
        following = next_shown(PullComment([one]), shown)
        if following is not None:
            shown = following
            written.append(one)
    assert len(written) == edits
    assert written[-1].state is path[-1]


def test_an_end_that_another_app_reaches_is_said_beside_one_that_has_used_its_edits():
    shown = None
    waiting = [row("a", 1, state, says=str(state)) for state in (State.QUEUED, State.RUNNING, State.QUEUED)]
    for one in waiting:
        shown = next_shown(PullComment([one]), shown) or shown
    both = PullComment([waiting[0], row("b", 2)])
    assert next_shown(both, shown) is not None


def test_an_answer_is_said_beside_a_deployment_that_has_used_its_edits_and_only_once():
    shown = None
    waiting = [row("a", 1, state, says=str(state)) for state in (State.QUEUED, State.RUNNING, State.QUEUED)]
    for one in waiting:
        shown = next_shown(PullComment([one]), shown) or shown
    answered = PullComment([waiting[1]], answer=ANSWER)
    again = next_shown(answered, shown)
    assert again is not None
    assert next_shown(answered, again) is None
    assert next_shown(PullComment([waiting[0]], answer=ANSWER), again) is None


def test_an_answer_is_worth_a_comment():
    assert PullComment(answer=ANSWER).is_worth_it


@given(st.text(max_size=100), st.lists(st.text(max_size=600), min_size=1, max_size=20))
def test_whatever_an_answer_says_it_is_text(author: str, words: list[str]):
    lines = [AnswerLine("explain", said or "-", said) for said in words]
    page = rendered(body(PullComment([row()], answer=Answer(author, 1, lines))))
    assert page.count("<table>") == 1
    assert page.count("<li>") == len(lines)
    assert page.count("<a ") == 3


def test_a_protected_preview_is_linked_by_what_opens_it_and_named_without():
    link = "https://pr-12-shop.example.org/?_slipway_share=l.5.e3.1770465600.kq3v"
    shown = PullComment([row(url="https://pr-12-shop.example.org", link=link)])
    assert f"[pr-12-shop.example.org]({link})" in body(shown)
    first = next_shown(shown, None)
    assert first is not None
    # What is remembered lies in the store for good.
    assert "l.5.e3" not in str(first)
    other = next_shown(PullComment([row(url="https://pr-12-shop.example.org", link=f"{link}2")]), first)
    assert other is not None
