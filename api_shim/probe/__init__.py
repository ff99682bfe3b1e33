"""Measuring a real OpenAI-compatible endpoint gently: what is asked is stated before, and never exceeded."""
