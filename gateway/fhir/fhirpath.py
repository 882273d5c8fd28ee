"""FHIRPath's invariants (N1), by fhirpathpy: whether a rule holds of a node. Never on a write path.

fhirpathpy follows no references: ``resolve()`` here finds what is contained or in the same Bundle,
and of anything else tells its type, which is all that R4's and the guides' rules ask for.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from gateway.fhir.expressions import LITERAL
from gateway.model import Resource

_log = logging.getLogger(__name__)


def holds(expression: str, node: Any, path: str, root: Resource, resource: Resource) -> bool | None:
    """Whether an invariant holds of ``node``, which stands at ``path`` ("Patient.contact").

    ``resource`` is the one that the node is in, ``root`` the outermost (%rootResource). None where
    fhirpathpy can't tell: an expression that it doesn't know is no finding about a resource.
    """
    try:
        test = _compiled(expression)
        found = test(node, path, {"resource": resource, "rootResource": root})
    except RecursionError:
        return None
    except Exception as error:  # noqa: BLE001 - recorded: the library raises what it likes
        _log.debug("a rule can't be evaluated: %s", type(error).__name__)
        return None
    return found == [] or all(value is not False for value in found)


@lru_cache(4096)
def _compiled(expression: str) -> Callable[[Any, str, dict[str, Any]], list[Any]]:
    fhirpathpy: Any = importlib.import_module("fhirpathpy")
    node_of = importlib.import_module("fhirpathpy.engine.nodes").ResourceNode.create_node
    model = importlib.import_module("fhirpathpy.models").models["r4"]
    parsed = importlib.import_module("fhirpathpy.parser").parse(expression)

    def test(node: Any, path: str, variables: dict[str, Any]) -> list[Any]:
        def resolve(references: list[Any]) -> list[Any]:
            given = [getattr(each, "data", each) for each in references]
            found = [one for each in given for one in _resolved(each, variables["rootResource"])]
            return [node_of(one, one["resourceType"]) for one in found]

        options = {
            "userInvocationTable": {"resolve": {"fn": resolve, "arity": {0: []}}},
            "traceFn": _silent,  # the library's own prints what it traces: values
        }
        start = node_of(node, path)
        return list(fhirpathpy.apply_parsed_path(start, parsed, variables, model, options))

    return test


def _silent(*_: Any) -> None:
    """What a rule traces goes nowhere."""


def _resolved(reference: Any, root: Resource) -> Iterator[Resource]:
    literal = reference.get("reference") if isinstance(reference, dict) else reference
    if not isinstance(literal, str):
        return
    if literal.startswith("#"):
        inner = (root, *root.get("contained", ()))
        yield from (one for one in inner if one.get("id") == literal[1:])
        return
    for entry in root.get("entry", ()) if root.get("resourceType") == "Bundle" else ():
        full = entry.get("fullUrl", "")
        if "resource" in entry and (full == literal or full.endswith(f"/{literal}")):
            yield entry["resource"]
            return
    match = LITERAL.fullmatch(literal)
    if match:
        yield {"resourceType": match["type"], "id": match["id"]}


def true_of(expression: str, before: Resource | None, now: Resource | None) -> bool:
    """Whether a topic's criteria hold over %previous and %current; not where they can't be told."""
    try:
        return _over(expression, before, now) == [True]
    except Exception as error:  # noqa: BLE001 - recorded: the library raises what it likes
        _log.debug("criteria can't be evaluated: %s", type(error).__name__)
        return False


def readable(expression: str, type: str) -> bool:
    """Whether a topic's criteria can be evaluated over a resource of a type."""
    node = {"resourceType": type, "id": "x"}
    try:
        _over(expression, node, node)
    except Exception as error:  # noqa: BLE001 - recorded: the library raises what it likes
        _log.debug("an expression can't be read: %s", error.__class__.__name__)
        return False
    return True


def _over(expression: str, before: Resource | None, now: Resource | None) -> list[Any]:
    node = now or before or {}
    variables: dict[str, Any] = {"rootResource": node}
    variables |= {"previous": before or [], "current": now or []}
    return _compiled(expression)(node, str(node.get("resourceType", "")), variables)
