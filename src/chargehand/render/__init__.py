"""Rendering: job templates become scripts, in a limited worker process; the only package that imports Jinja2.

Nothing is imported here, so that the worker, which imports this package, starts fast and small. Callers
take `chargehand.render.renderer.Renderer` and `chargehand.render.lint.lint`.
"""
