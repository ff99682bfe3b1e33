"""A plan, as `plan.json` has it, in words and tables."""
