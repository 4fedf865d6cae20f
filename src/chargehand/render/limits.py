"""RenderLimits: what a render may cost."""

from chargehand.frozen import frozen


@frozen
class RenderLimits:
    """What a render may cost; more ends it, and the worker with it, and spares all others.

    Attributes:
        memory_bytes: Address space of the worker process.
        cpu_s: Whole seconds of processor time of one render, compiling included.
        wall_s: Seconds of one render on the clock, should it ever wait.
        output_bytes: Size of one script.
        total_s: Seconds of all renders of one renderer, so that a hostile repository ends ...
        each_s: ... and so many more for every render, so that a large one ends well.
    """

    memory_bytes: int = 512 * 1024 * 1024
    cpu_s: int = 4
    wall_s: float = 20.0
    output_bytes: int = 1024 * 1024
    total_s: float = 600.0
    each_s: float = 0.0


PREVIEW_LIMITS = RenderLimits(total_s=6.0, each_s=0.005)
"""For `validate`, `plan` and `render`, which must come to an end soon whatever they are shown."""
