"""Work that is divided: over processes of this machine, or over a cluster."""
