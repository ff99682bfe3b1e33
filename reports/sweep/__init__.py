"""The cells of a sweep as one table, and what it says."""
