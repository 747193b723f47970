"""The demo's pull request: its preview, its comment, its merge without a build."""

import time

from bot.cli.demo import events
from bot.cli.demo.stage import Stage, expect, wait
from bot.cli.demo.stand_in import StandIn
from bot.domain.deployment import Deployment
from bot.domain.ids import reference
from bot.domain.pull import PullNumber, preview_name
from bot.store import deployments, environments
from bot.store.engine import reading


class PullAct:
    """One pull request, from its opening to its merge."""

    def __init__(self, stage: Stage, github: StandIn) -> None:
        self._stage = stage
        self._github = github
        self._number, self._branch = stage.repository.branch()

    def play(self) -> None:
        """Show it. Raises `PlatformError` when anything is not as it should be."""
        tell = self._stage.console.print
        tell(f"\n[bold]Pull request #{self._number}[/] is opened: {self._branch} into main")
        self._stage.repository.change("It is live", "It is live, and reviewed")
        deployment = self._propose("opened")
        hostname = self._hostname(deployment)
        expect(self._stage.page(hostname).status_code == 200, f"the preview {hostname} does not answer")
        tell(f"\n  Preview  {self._stage.instance.settings.site_url(hostname)}", markup=False)
        self._show_comment(deployment)
        tell(f"\n[bold]A second commit[/] on {self._branch}")
        self._stage.repository.change("and reviewed", "and reviewed twice")
        deployment = self._propose("synchronize")
        self._show_comment(deployment)
        self._merge(deployment, hostname)

    def _propose(self, action: str) -> Deployment:
        before, after = self._stage.repository.commit(self._branch)
        self._stage.repository.propose(self._number, after)
        return self._stage.deployed(self._tell(action, after, before))

    def _tell(self, action: str, sha: str, base_sha: str) -> str:
        payload = events.pull(action, self._number, self._branch, sha=sha, base_sha=base_sha)
        self._github.world.pulls[self._number] = payload["pull_request"]
        return self._stage.deliver("pull_request", payload)

    def _merge(self, preview: Deployment, hostname: str) -> None:
        tell = self._stage.console.print
        tell(f"\n[bold]Merge[/] of #{self._number} into main")
        before, after = self._stage.repository.merge(self._branch)
        began = time.monotonic()
        pushed = self._stage.deliver("push", events.push(before, after))
        self._tell("closed", preview.sha, before)
        live = self._stage.deployed(pushed)
        taken = time.monotonic() - began
        expect(live.release_id == preview.release_id, "production did not take the preview's release")
        self._wait_until_gone(hostname)
        tell(
            f"\nLive {taken:.1f} s after the merge, without a build: {reference(live.id)} took the preview's "
            f"release. The preview is gone; pull request #{self._number} has one comment."
        )

    def _show_comment(self, deployment: Deployment) -> None:
        said = deployment.sha[:7]

        def settled() -> str | None:
            comments = self._github.world.comments(self._number)
            expect(len(comments) < 2, "there is more than one comment")
            body = comments[0]["body"] if comments else ""
            return body if said in body and "✅" in body else None

        body = wait(settled, "the comment on the pull request")
        writes = self._github.world.comments(self._number)[0]["writes"]
        self._stage.console.print(f"\n  The pull request's one comment, written {writes} times:\n")
        for line in body.splitlines():
            self._stage.console.print(f"  | {line}", markup=False)

    def _wait_until_gone(self, hostname: str) -> None:
        def is_gone() -> bool | None:
            return self._stage.page(hostname).status_code == 404 or None

        wait(is_gone, "the preview's end")

    def _hostname(self, deployment: Deployment) -> str:
        with reading(self._stage.instance.engine) as tx:
            app = deployments.get(tx, deployment.id).app_id
            found = environments.by_name(tx, app, preview_name(PullNumber(self._number)))
        assert found is not None
        return found.hostname
