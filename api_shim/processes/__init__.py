"""Programs of others as the host sees them: what they hold and use, and how they are kept to their limits."""
