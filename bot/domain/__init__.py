"""What Slipway is about, without any I/O: words, states and rules."""
