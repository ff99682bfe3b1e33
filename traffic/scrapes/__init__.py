"""Traffic from what a server counted: scrapes of its metrics, as the arrivals and lengths of a source."""
