"""The wired model: gateway, limits, pools, routing, and the record of every request."""
