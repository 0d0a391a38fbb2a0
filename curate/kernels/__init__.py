"""Compiled loops over bytes: numba functions that take and return arrays, each held by tests against a plain twin."""
