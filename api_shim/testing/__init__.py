"""For the tests of applications: the platform in virtual time."""

from api_shim.testing.virtual_platform import VirtualPlatform, check_packages, client_library, virtual_client

__all__ = ["VirtualPlatform", "check_packages", "client_library", "virtual_client"]
