"""Git: mirrors of repositories, and the only place that runs git."""

from jobs.git.mirrors import Mirrors

__all__ = ["Mirrors"]
