"""The work: everything that fetches, builds, publishes and tells, run by workers."""
