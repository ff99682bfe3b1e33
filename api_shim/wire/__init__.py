"""Bytes in and out: bodies, errors, server-sent events, headers and stamps."""
