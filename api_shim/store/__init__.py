"""What outlives a request, durable before the 200: a database and the contents of files, in one directory."""
