"""How properties are tried: as often as is quick, and without a deadline that a busy machine misses."""

from hypothesis import settings

steady = settings(deadline=None, max_examples=60)
settings.register_profile("long", deadline=None, max_examples=1000, stateful_step_count=60)
