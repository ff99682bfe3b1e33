"""Replaying recorded requests through the platform, and how far the answers are from what was measured."""
