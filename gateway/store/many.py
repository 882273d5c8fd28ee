"""Resources that are new and ready, as rows and messages make them: written without a question.

What ``Writing.put`` does for any write, this does for a first version of the caller's own: there is
nothing to compare, nobody's right to ask after, and nothing to be told of it but that it is there.
"""

from __future__ import annotations

from gateway.model import Context
from gateway.store.heads import Head, Known
from gateway.store.prepared import Packed, body
from gateway.store.resources import RESOURCE, VERSION, Writing
from gateway.store.search import index
from gateway.store.tables import resource


class Creating(Writing):
    """Writes first versions."""

    def create(self, context: Context, ready: Packed, said: int | None) -> bool:
        """Write a resource that isn't there, as the caller's; whether it was so.

        ``said`` is the time of what says so, in UTC microseconds. One that is there, or was, is
        left as it is.
        """
        type_, id_, meta, core, _, digest, rows = ready
        reference = f"{type_}/{id_}"
        if self._known(reference) is not None:
            return False
        key, now, held = self.link.key(resource), self.clock(), 0
        later = self.link.later
        for kind, found in rows.items():
            held |= 1 << kind
            later(index.INSERTS[kind], [(*row, key) for row in found])
        head = Head(key, 1, now, context.agency, False, held, digest, said)
        whole = body(type_, id_, meta, core, head)
        later(RESOURCE, [(key, type_, id_, *head[1:])])
        later(VERSION, [(key, type_, 1, "create", now, whole)])
        self.link.known[reference] = Known(head, whole, None, True)
        self.touched.add(type_)
        if self.named is not None:
            self.named.append((type_, id_, 1))
        return True
