"""Slipway hears, remembers and speaks here; the work itself is done in `jobs`."""
