"""The HTTP face of the model. Every request that arrives here goes through `sim`'s `Platform.submit`."""
