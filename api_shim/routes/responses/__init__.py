"""Responses: made in one piece, as a stream or in the background, and kept with their conversations."""
