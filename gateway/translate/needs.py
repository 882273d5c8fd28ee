"""What must be there for a rule to give anything, so that what can't is left out before it runs.

Most of what maps read is empty: a PID has forty fields and a sender fills twelve. Which fields or
components have anything is one look at a segment or node, its *shape*, and senders have few of
them. Much of the rest hangs on a code or two (``OBX-2 = NM``): which of those that a map asks for a
field says is its *answer*. So what runs is narrowed once, for shapes and answers, to the rules that
may give something there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import product
from typing import Any, Final, NamedTuple, TypeVar

from gateway.model import FORMS, NULL, Node
from gateway.translate.paths import Path
from gateway.translate.run import Read, Run, Scope, Test


class Says(NamedTuple):
    """Of the scope's first segment of that name, a field or component is one of these texts."""

    segment: str
    field: int
    parts: tuple[int, ...]
    texts: frozenset[str]


Key = int | tuple[str, int] | Says
"""A component of the node in hand, a field of the scope's first segment of that name, or a text."""

Needs = tuple[frozenset[Key], ...]
"""Of each set at least one must be there, else a rule gives nothing, warns of nothing."""

Present = Callable[[Key], bool]
"""Whether there may be anything at a key."""

OTHER: Final = "\x00"
"""An answer that is none of the texts that were asked for."""

ANYTHING: Final[Needs] = ()
"""No need is known: the rule has to be tried."""

_SETS: Final = 16
"""Alternatives of more sets than this are tried instead of reckoned with."""

_SHAPES: Final = 256
"""How many shapes are narrowed for; those that come later run whole."""

T = TypeVar("T")


class Condition(NamedTuple):
    """A compiled ``if``, what it needs to be true, and the paths that it looks at."""

    test: Test
    needs: Needs
    paths: tuple[Path, ...] = ()


def everything(key: Key) -> bool:
    """Whatever is asked for may be there."""
    return True


def of_path(path: Path) -> Needs:
    """What a path needs to meet a node."""
    if path.is_plain:
        return (frozenset({(path.segment, path.field)}),)
    if path.is_single and path.parts:
        return (frozenset({path.parts[0]}),)
    return ANYTHING


def of_segment(path: Path) -> Needs:
    """What a path needs to meet a segment: its name, which stands in its field 0."""
    return ANYTHING if path.up else (frozenset({(path.segment, 0)}),)


def of_texts(path: Path, texts: frozenset[str]) -> Needs:
    """What a path needs to meet one of some texts; "" is met by nothing, too."""
    needs = ANYTHING if "" in texts else of_path(path)
    if path.is_plain and not (path.choice or path.repetition):
        says = Says(path.segment, path.field, path.parts, texts)
        needs = (*needs, frozenset({says}))
    return needs


def all_of(needs: Iterable[Needs]) -> Needs:
    """What several things need that must all be so."""
    return tuple(dict.fromkeys(keys for one in needs for keys in one))


def either(needs: Iterable[Needs]) -> Needs:
    """What several alternatives need: one of them all that it does."""
    found: set[frozenset[Key]] = {frozenset()}
    for one in needs:
        found = {left | right for left, right in product(found, one)}
        if not found or len(found) > _SETS:
            return ANYTHING
    return tuple(found) if frozenset() not in found else ANYTHING


def met(needs: Needs, present: Present) -> bool:
    """Whether all needs may be met."""
    return all(any(map(present, keys)) for keys in needs)


# --- shapes and answers --------------------------------------------------------------------------


def segments_of(needs: Iterable[Needs]) -> set[str]:
    """The segments whose fields decide."""
    found = (key for one in needs for keys in one for key in keys)
    return {key[0] for key in found if not isinstance(key, int)}


def questions(needs: Iterable[Needs]) -> tuple[Says, ...]:
    """What is asked of each field in all of these, with all texts that any of them asks for."""
    asked: dict[tuple[str, int, tuple[int, ...]], frozenset[str]] = {}
    for key in (key for one in needs for keys in one for key in keys):
        if isinstance(key, Says):
            asked[key[:3]] = asked.get(key[:3], frozenset()) | key.texts
    return tuple(Says(*where, texts) for where, texts in asked.items())


def answer(question: Says, scope: Scope) -> str | None:
    """The text of a field that was asked for; ``OTHER`` for another, None where it repeats."""
    held = scope.segments.get(question.segment)
    found = held[0].repetitions(question.field) if held is not None else ()
    if len(found) > 1:
        return None
    node: Node | None = found[0] if found else None
    for part in question.parts:
        node = node.child(part) if node is not None else None
    text = node.text() if node is not None else None
    if text is None or text == NULL:
        return ""
    return text if text in question.texts else OTHER


def _answer(question: Says, known: dict[Hashable, str | None], scope: Scope) -> str | None:
    """``answer``, with the work done once a text of the field."""
    held = scope.segments.get(question.segment)
    if held is None:
        return ""
    forms = held[0].forms
    if forms is None or question.field >= FORMS:
        return answer(question, scope)
    form = forms[question.field]
    if form not in known:
        if len(known) >= _SHAPES:
            known.clear()
        known[form] = answer(question, scope)
    return known[form]


class Held:
    """What decides of a scope: the shapes of its segments, and its answers."""

    def __init__(self, needs: Sequence[Needs]) -> None:
        self.names = tuple(sorted(segments_of(needs)))
        self.asked = questions(needs)
        self._known: list[tuple[Says, dict[Hashable, str | None]]] = [
            (one, {}) for one in self.asked
        ]

    def __call__(
        self, scope: Scope, at: Node | None
    ) -> tuple[tuple[bytes, ...], tuple[str | None, ...]]:
        """The shapes, one more of a node in hand, and the answers."""
        segments = scope.segments
        shapes = [segments[name][0].shape if name in segments else b"" for name in self.names]
        if at is not None:
            shapes.append(at.shape)
        return tuple(shapes), tuple([_answer(*one, scope) for one in self._known])


class Narrowed(dict[Hashable, T]):
    """By shape, what is narrowed to it, built when a shape is first met.

    Bounded, so that a sender who never repeats a shape fills no memory: ``whole`` serves the rest.
    """

    def __init__(self, whole: T, build: Callable[[Any], T]) -> None:
        super().__init__()
        self._whole, self._build = whole, build

    def __missing__(self, shape: Hashable) -> T:
        if len(self) >= _SHAPES:
            return self._whole
        built = self[shape] = self._build(shape)
        return built


def by_shape(whole: Read, narrow: Callable[[Present], Read]) -> Read:
    """``whole``, narrowed to the components that the node in hand has."""
    known = Narrowed(whole, lambda shape: narrow(in_node(shape)))

    def read(run: Run, scope: Scope, node: Node | None) -> Any:
        return known[node.shape](run, scope, node)  # type: ignore[union-attr]  # there is one

    return read


def in_node(shape: bytes) -> Present:
    """What is there in a node of this shape. Fields aren't its to say: they may be."""
    return lambda key: not isinstance(key, int) or _holds(shape, key - 1)


def in_scope(
    names: Sequence[str],
    shapes: Sequence[bytes],
    questions: Sequence[Says] = (),
    answers: Sequence[str | None] = (),
) -> Present:
    """What is there in a scope whose first segments of these names have these shapes.

    One shape more is that of the node in hand. ``answers`` are those to ``questions``.
    """
    by_name = dict(zip(names, shapes, strict=False))
    inside = in_node(shapes[-1]) if len(shapes) > len(names) else everything
    known = {one[:3]: answer for one, answer in zip(questions, answers, strict=True)}

    def present(key: Key) -> bool:
        if isinstance(key, int):
            return inside(key)
        if isinstance(key, Says):
            answer = known.get(key[:3])
            return answer is None or answer in key.texts
        name, number = key
        return name not in by_name or _holds(by_name[name], number)

    return present


def _holds(shape: bytes, index: int) -> bool:
    return index < len(shape) and bool(shape[index])
