"""Who is calling, and whose limits count."""
