"""Slipway hears, remembers and speaks here; the work itself is done in `jobs`."""

import gc

# By default the collector goes over a start's thousand modules again and again: a sixth of the start.
gc.set_threshold(50_000, 20, 20)
