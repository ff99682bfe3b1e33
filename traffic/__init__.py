"""Who asks for what and when: requests, arrival processes, token lengths and trace readers."""
