"""Who asks for what and when: requests, arrival processes, token lengths and trace readers."""

import e80sim  # noqa: F401 -- lets imports find the compiled build
