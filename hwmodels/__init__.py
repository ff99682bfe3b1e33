"""Accelerators and LLMs as pure functions: step-time laws, KV capacity, and the catalogue behind them."""

import e80sim  # noqa: F401 -- lets imports find the compiled build
