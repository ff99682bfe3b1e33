"""Accelerators and LLMs as pure functions: step-time laws, KV capacity, and the catalogue behind them."""
