"""The responses dialect on the wire: items, the body of a request, what is answered, conversations."""
