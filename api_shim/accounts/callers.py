"""Who is calling, and from where: keys and tokens, the header `x-sim-place`, the port of a connection."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from http import HTTPStatus

from api_shim.accounts.login import LOGIN_PREFIX
from api_shim.store.keys import Keys, key_name
from api_shim.store.logins import Login, Logins
from api_shim.wire.errors import ApiError, bad_value
from sim.callers.origin import ttft_objective_ps
from sim.scenario.schema import ApiKey, Scenario
from traffic.request import INTERACTIVE_PRIORITY, caller_named

PLACE_HEADER = "x-sim-place"
PROJECT_HEADER = "x-8080-project-slug"
SLUG = re.compile(r"(?!key_)[a-z0-9][a-z0-9_-]{0,62}")
"""Of a project that somebody names: what is called `key_...` belongs to the key of that name."""
SOURCE_KEY_PREFIX = "sk-"
LIVE_SOURCE = "live"
"""In the records, the source of requests that stand for none of the scenario's."""
REMEMBERED_KEYS = 10_000
OTHER_TENANTS = "others"
"""In the records, who holds the keys beyond those: tenants are labels, and all labels are kept.

Limits and connections are of the key all the same.
"""


@dataclass(frozen=True, slots=True)
class Caller:
    key: str
    """A name for the key that gives nothing of it away."""
    project: str
    tenant: str
    source: str
    connections: str
    """Whose modelled connections carry its requests."""
    place: str | None
    priority: int = INTERACTIVE_PRIORITY
    """Of requests that state none."""
    batch: bool = False
    """Whether it sends batch work, which has limits of its own."""
    tier: str = ""
    """Of its project."""
    fairness_id: str = ""
    ttft_objective_ps: int | None = None


class Callers:
    """The keys of a scenario and those that people made; where there are none of either, any key."""

    def __init__(
        self,
        scenario: Scenario,
        place_of_port: Mapping[int, str],
        *,
        need_key: bool = True,
        issued: Keys | None = None,
        logins: Logins | None = None,
    ) -> None:
        self._scenario = scenario
        self._place_of_port = place_of_port
        self._need_key = need_key
        self.default_place = scenario.serve.place or next(iter(scenario.network.places))
        self._known = {key: self._holder(key, holder) for key, holder in scenario.serve.keys.items()}
        self._issued = issued
        self._logins = logins
        self._named: set[str] = set()
        """Projects that somebody who has logged in has named."""
        self._lent: dict[str, Caller] = {}
        """Keys of the server's own, such as those that its applications ask with."""
        self._listed = bool(self._known)
        if not self._listed:
            for source in scenario.traffic:
                key = SOURCE_KEY_PREFIX + source
                self._known[key] = self._holder(key, ApiKey(source=source))

    def caller(self, authorization: str | None, named: Callable[[], str | None] = lambda: None) -> Caller:
        """Whose request it is. The key is never echoed.

        `named` is the project that the request names: who has logged in has to; a key is of a project, and
        whatever else is named does not count. Raises ApiError, 401 for what lets nobody in.
        """
        key = _bearer(authorization)
        if key.startswith(LOGIN_PREFIX):
            return self._of_login(self.login(authorization), named())
        if not key:
            if not self._need_key:
                return self._stranger("anonymous")
            raise _unauthorized(
                "You didn't provide an API key. Send it in an Authorization header with Bearer auth "
                "(Authorization: Bearer YOUR_KEY).",
                None,
            )
        lent = self._lent.get(key)
        if lent is not None:
            return lent
        any_key = self.any_key
        known = self._known.get(key) if any_key or self._listed else None
        if known is None:
            if not any_key:
                return self._issued_to(key)
            known = self._stranger(key_name(key))
            if len(self._known) < REMEMBERED_KEYS:
                self._known[key] = known
            else:
                known = replace(known, tenant=OTHER_TENANTS)
        return known

    def login(self, authorization: str | None) -> Login:
        """Of somebody who has logged in. Raises ApiError 401, for API keys 403."""
        token = _bearer(authorization)
        if token and not token.startswith(LOGIN_PREFIX):
            self.caller(authorization)
            message = "An API key does not do here: log in with `8080 login`."
            raise ApiError(HTTPStatus.FORBIDDEN, message, code="login_required")
        found = self._logins.find(token) if self._logins and token else None
        if found is None:
            raise _unauthorized("Log in with `8080 login`: this is no token of a login.", "invalid_token")
        return found

    @property
    def any_key(self) -> bool:
        return not self._listed and not (self._issued and self._issued.exist())

    def _of_login(self, login: Login, project: str | None) -> Caller:
        if project is None:
            message = f"Which project? Name it in the header {PROJECT_HEADER}."
            raise ApiError(HTTPStatus.BAD_REQUEST, message, param=PROJECT_HEADER, code="project_required")
        if not SLUG.fullmatch(project):
            message = "A project's slug has 1 to 63 small letters, digits, - and _, and begins with neither."
            raise bad_value(PROJECT_HEADER, message, "invalid_project")
        known = project in self._named or len(self._named) < REMEMBERED_KEYS
        if known:
            self._named.add(project)
        connections = caller_named("key", f"{login.name} {project}")
        tenant = project if known else OTHER_TENANTS
        return Caller(login.name, project, tenant, LIVE_SOURCE, connections, None)

    @property
    def open_to_all(self) -> bool:
        """Nobody can tell projects apart."""
        return self.any_key or not self._need_key

    def lend(self, key: str, caller: Caller) -> None:
        self._lent[key] = caller

    def take_back(self, key: str) -> None:
        self._lent.pop(key, None)

    def project_called(self, slug: str) -> str:
        """The project of the scenario's keys that a slug means, or else the slug itself."""
        name = slug.replace("-", "_")
        return next((known.project for known in self._known.values() if known.project == name), slug)

    def _issued_to(self, key: str) -> Caller:
        found = self._issued and self._issued.find(key)
        if not found:
            raise _unauthorized("Incorrect API key provided.", "invalid_api_key")
        connections = caller_named("key", found.name)
        return Caller(found.name, found.project, found.project, LIVE_SOURCE, connections, None)

    def place(self, caller: Caller, header: str | None, port: int | None) -> str:
        """The most specific that is said: the header, the key, the listener, the scenario."""
        places = self._scenario.network.places
        if header is not None:
            if header not in places:
                close = get_close_matches(header, places, n=1, cutoff=0.5)
                hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(places)}"
                raise bad_value(PLACE_HEADER, f"There is no place '{header}'; {hint}", "unknown_place")
            return header
        listener = None if port is None else self._place_of_port.get(port)
        return caller.place or listener or self.default_place

    def _holder(self, key: str, holder: ApiKey) -> Caller:
        if holder.source is None:
            name = key_name(key)
            connections = caller_named("key", name)
            tier = holder.tier or ""
            return Caller(
                name, holder.project, holder.project, LIVE_SOURCE, connections, holder.place, tier=tier
            )
        source = self._scenario.traffic[holder.source]
        app = None if source.app is None else self._scenario.apps[source.app]
        own_project = "project" in holder.model_fields_set
        return Caller(
            key=key_name(key) if own_project else source.tenant,  # a run has one key per tenant
            project=holder.project if own_project else source.tenant,
            tenant=source.tenant,
            source=holder.source,
            connections=(
                caller_named("source", holder.source)
                if source.app is None
                else caller_named("app", source.app)
            ),
            place=holder.place or (source.place if app is None else app.place),
            priority=source.priority_of_requests,
            batch=source.batch,
            tier=holder.tier or source.tier or "",
            fairness_id=source.fairness_id or "",
            ttft_objective_ps=ttft_objective_ps(self._scenario, source),
        )

    def _stranger(self, name: str) -> Caller:
        return Caller(name, name, name, LIVE_SOURCE, caller_named("key", name), None)


def _bearer(authorization: str | None) -> str:
    """Empty where there is none."""
    scheme, _, key = (authorization or "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _unauthorized(message: str, code: str | None) -> ApiError:
    return ApiError(HTTPStatus.UNAUTHORIZED, message, code=code, headers={"www-authenticate": "Bearer"})
