"""Lets builds of strangers reach package registries, and nothing else."""
