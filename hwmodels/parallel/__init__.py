"""Several GPUs that serve one LLM together: what each of them holds, and what they tell each other."""
