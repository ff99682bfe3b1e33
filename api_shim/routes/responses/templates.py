"""The scenario's `serve.templates`: a request names one and says what goes in its places."""

import re
from difflib import get_close_matches

from api_shim.wire.errors import LONGEST_ECHO, ApiError, bad_value
from api_shim.wire.responses.body import ResponseBody, TemplateValue
from api_shim.wire.responses.items import user_item
from sim.scenario.schema import Scenario

PLACE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def rendered(body: ResponseBody, scenario: Scenario) -> ResponseBody:
    """With the template's texts in place of its name; what the request says itself goes before.

    Raises ApiError where there is no such template, or an input is missing.
    """
    if body.template is None:
        return body
    template = scenario.serve.templates.get(body.template)
    if template is None:
        raise _unknown(body.template, list(scenario.serve.templates))
    inputs = body.inputs or {}
    model = None if template.model is None else scenario.models[template.model].id
    instructions = body.instructions
    if instructions is None and template.instructions is not None:
        instructions = _filled(template.instructions, inputs)
    return body.model_copy(
        update={
            "input": [user_item(_filled(template.input, inputs))],
            "instructions": instructions,
            "model": body.model or model,
        }
    )


def _filled(text: str, inputs: dict[str, TemplateValue]) -> str:
    """In one pass: what looks like a place within an input stays."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name not in inputs:
            raise bad_value(
                f"inputs.{name}",
                f"Missing required parameter: 'inputs.{name}', for which the template has a place.",
                "missing_required_parameter",
            )
        said = inputs[name]
        return str(said).lower() if isinstance(said, bool) else str(said)

    return PLACE.sub(value, text)


def _unknown(name: str, known: list[str]) -> ApiError:
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return bad_value("template", f"There is no template '{name[:LONGEST_ECHO]}'.{hint}", "template_not_found")
