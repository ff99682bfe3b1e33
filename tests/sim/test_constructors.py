"""Dataclasses whose constructors are written out say the same twice: here both are one."""

import inspect
from dataclasses import MISSING, fields

import pytest

from sim.network import Departure
from sim.node.kernel import Boundary
from traffic.request import Request


@pytest.mark.parametrize("kind", [Request, Departure, Boundary])
def test_a_constructor_takes_the_fields_in_their_order_with_their_defaults(kind: type) -> None:
    parameters = list(inspect.signature(kind).parameters.values())
    of_fields = [
        (field.name, inspect.Parameter.empty if field.default is MISSING else field.default)
        for field in fields(kind)
    ]
    assert [(one.name, one.default) for one in parameters] == of_fields


@pytest.mark.parametrize("kind", [Request, Departure, Boundary])
def test_a_constructor_puts_each_argument_where_it_belongs(kind: type) -> None:
    names = [field.name for field in fields(kind)]
    made = kind(*names)
    assert [getattr(made, name) for name in names] == names
