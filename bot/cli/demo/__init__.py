"""What `slipway demo` shows: a sample repository, a stand-in for GitHub, a visitor."""
