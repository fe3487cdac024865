"""The embedded fault proxy: Toxiproxy's HTTP API and toxics in Python, with chance that can be repeated.

Clients of Toxiproxy 2.12 work with it unchanged. It differs where Toxiproxy can hurt a test:

* The seed works. A toxic is drawn once per connection and direction, from the root seed and
  the names of proxy, toxic, connection number and direction: a change of another toxic, or of
  its own attributes, never flips a live connection; raising its toxicity only adds some.
* No call of the API can hang, whatever a peer does: everything that waits can be interrupted.
* `reset_peer` is a reset on live connections too, and only on those it was drawn for.
* `timeout` closes at a fixed time; bytes that pass do not put it off. Removing it closes the
  connections it acted on, whose streams have gaps, and no others.
* A half-close passes through, as on a real network. A `rate` of 0 stops all bytes, as there.
* Negative or meaningless attributes, and a toxicity outside 0 to 1, are refused. Updates are
  all or nothing. A reset goes on past a proxy that fails, and then reports it.
* Errors are `application/json`, empty lists are `[]`, and any name can be addressed.
* Start-up fails if the API's port is taken or the configuration file is broken.
* `GET /rpe/stats` tells what passed, and what each toxic did: the evidence that a fault fired.

The layers, outermost first: `embedded` and `standalone` (the server as object and as process),
`api` (HTTP), `registry` (all proxies), `proxy` (a listener), `connection` (two sockets), `pipe`
(one direction), `link` (a toxic's place in it), `stage` (what a toxic does), `toxics` (one each).
"""

from __future__ import annotations

from rpe.faults.proxy.embedded import EmbeddedProxy

__all__ = ["EmbeddedProxy"]
