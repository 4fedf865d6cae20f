"""Webhook: hears by HTTP that something was pushed, and believes nothing but that.

What a sender signed is a hint to look: `verify` says so without sockets or clocks, a `Receiver` passes each
hint on once, and `listen` puts it on an address.
"""

from chargehand.webhook.delivery import Delivery, Hint, Refusal, verify
from chargehand.webhook.limits import Limits
from chargehand.webhook.listening import listen
from chargehand.webhook.receiver import Answer, Receiver
from chargehand.webhook.rules import Rules, read_rules

__all__ = [
    "Answer",
    "Delivery",
    "Hint",
    "Limits",
    "Receiver",
    "Refusal",
    "Rules",
    "listen",
    "read_rules",
    "verify",
]
