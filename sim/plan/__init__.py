"""How much of what is needed: the least value of a field with which a scenario meets its objectives."""
