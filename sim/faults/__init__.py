"""What breaks in a world, and when: nodes that die or grow slow, and paths that do not get through."""
