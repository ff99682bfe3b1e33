"""JSON that satisfies a JSON Schema: structured output, and the arguments of tool calls."""
